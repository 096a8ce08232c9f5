"""Reads dead letters, and redrives them: sends them to the workers again once the cause is repaired.

The name of a letter is its place, `topic/partition/sequence`. Redriving writes its bytes with its key to its partition
as a new record, which the workers process like any other. A table of redriven letters prevents that one is sent twice
by mistake. After a crash a letter may be sent twice; that is harmless, because creates and requests are known by their
ids, and a change is refused if the feedback has changed since (guard.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from clickhouse_connect.driver.client import Client

from operations.connections import CommandError, kafka
from schemas.limits import WORKSPACE_PATTERN

_ORDER = ("recorded_at", "toString(topic)", "kafka_partition", "sequence")
_LETTERS = f"""
SELECT toString(topic), kafka_partition, sequence, kafka_offset, recorded_at, toString(reason), detail, hex(key),
    hex(substring(value, 1, {{{{most_bytes:UInt32}}}})), length(value), feedback_id,
    toBool((topic, kafka_partition, sequence) IN (SELECT topic, kafka_partition, sequence FROM feedback.redrives))
FROM feedback.dead_letters FINAL
WHERE {{condition}}
ORDER BY {", ".join(f"{each} DESC" for each in _ORDER)} LIMIT {{{{limit:UInt32}}}}
"""
_IN_VALUE = "JSONExtractString(value, 'workspace')"
# The edge writes keys that begin with a workspace, and writes the same workspace into the value.
_WORKSPACE = f"""
if(JSONType(value) = 'Object' AND countEqual(JSONExtractKeys(value), 'workspace') = 1
    AND match({_IN_VALUE}, '{WORKSPACE_PATTERN}') AND NOT endsWith({_IN_VALUE}, '\\n')
    AND (startsWith(key, concat({_IN_VALUE}, '/')) OR NOT match(key, '{WORKSPACE_PATTERN[:-1]}/')), {_IN_VALUE}, '')
"""
_ALL_BYTES = 2**32 - 1
_REASONS = """
SELECT toString(reason), toString(topic), count(), min(recorded_at), max(recorded_at), any(detail)
FROM feedback.dead_letters FINAL WHERE {condition} GROUP BY reason, topic ORDER BY count() DESC
"""

WHAT_TO_DO = {
    "empty": "A producer wrote a record without a value; nothing can be done with it.",
    "not_utf8": "A producer that is not the edge wrote bytes that are no text: mend the producer.",
    "not_json": "A producer that is not the edge wrote something else than JSON: mend the producer.",
    "invalid": "The record breaks the contract in docs/schemas: mend its producer, or update the workers and redrive.",
    "foreign_id": "Its id was not made for its trace: have the producer take ids from the edge.",
    "unknown_feedback": "Nothing with this id was created, or it went with its trace after FEEDBACK_KEEP_TRACES_DAYS.",
    "deleted_feedback": "The feedback was deleted first; a deleted feedback stays deleted.",
    "id_reused": "The id exists with other content: the first create counts; send the content as an update.",
    "idempotency_key_reused": "The key stood for another call: send the call under a new key.",
}


class Position(NamedTuple):
    """The position of a letter in the list, which is ordered by time; `at_ms` is its time in Unix milliseconds."""

    at_ms: int
    topic: str
    partition: int
    sequence: int


_POSITION_PARAMETERS = (
    "(fromUnixTimestamp64Milli({after_at_ms:Int64}, 'UTC'), {after_topic:String}, {after_partition:UInt16},"
    " {after_sequence:UInt64})"
)


@dataclass(frozen=True)
class Filter:
    """Selects letters; empty fields select all."""

    reason: str = ""
    topic: str = ""
    since: datetime | None = None
    place: tuple[str, int, int] | None = None
    workspaces: tuple[str, ...] = ()
    """Only letters of these workspaces; `""` selects letters whose bytes do not name one."""
    after: "Position | None" = None

    @property
    def condition(self) -> str:
        parts = ["1"]
        parts += ["reason = {reason:String}"] if self.reason else []
        parts += ["topic = {topic:String}"] if self.topic or self.place else []
        parts += ["recorded_at >= {since:DateTime64(3)}"] if self.since else []
        parts += ["kafka_partition = {partition:UInt16} AND sequence = {sequence:UInt64}"] if self.place else []
        parts += [f"{_WORKSPACE} IN {{workspaces:Array(String)}}"] if self.workspaces else []
        parts += [f"({', '.join(_ORDER)}) < {_POSITION_PARAMETERS}"] if self.after else []
        return " AND ".join(parts)

    @property
    def parameters(self) -> dict[str, Any]:
        topic, partition, sequence = self.place or (self.topic, 0, 0)
        since = {"since": self.since} if self.since else {}
        after = {f"after_{name}": value for name, value in self.after._asdict().items()} if self.after else {}
        narrow = {"workspaces": list(self.workspaces)}
        return (
            {"reason": self.reason, "topic": topic, "partition": partition, "sequence": sequence}
            | since
            | narrow
            | after
        )


@dataclass(frozen=True)
class Letter:
    """One dead letter. `key` and `value` are the bytes of the record; `value` may be cut."""

    topic: str
    partition: int
    sequence: int
    offset: int
    recorded_at: datetime
    reason: str
    detail: str
    key: bytes
    value: bytes
    value_bytes: int
    feedback_id: str
    redriven: bool

    @property
    def place(self) -> str:
        return f"{self.topic}/{self.partition}/{self.sequence}"

    @property
    def position(self) -> Position:
        at = self.recorded_at.replace(tzinfo=UTC)
        return Position(round(at.timestamp() * 1000), self.topic, self.partition, self.sequence)


def letters(client: Client, wanted: Filter, limit: int, most_bytes: int = _ALL_BYTES) -> list[Letter]:
    """The letters, the latest first, each with the first `most_bytes` of its value."""
    query = _LETTERS.format(condition=wanted.condition)
    rows = client.query(query, wanted.parameters | {"limit": limit, "most_bytes": most_bytes}).result_rows
    return [Letter(*row[:7], *map(bytes.fromhex, row[7:9]), *row[9:]) for row in rows]


def require_reason(client: Client, reason: str) -> None:
    """CommandError, which lists the reasons, where this is none."""
    known = sorted(WHAT_TO_DO | {row[0]: "" for row in reasons(client, Filter())})
    if reason and reason not in known:
        raise CommandError(f"There is no reason {reason!r}. There are: {', '.join(known)}.")


def reasons(client: Client, wanted: Filter) -> list[list[Any]]:
    """For each reason and topic: how many letters, the first and last time, and one detail."""
    rows = client.query(_REASONS.format(condition=wanted.condition), wanted.parameters).result_rows
    return [list(row) for row in rows]


def redrive(client: Client, bootstrap: str, selected: Sequence[Letter]) -> None:
    """Redrive the letters, oldest first, and note each as redriven. CommandError if Kafka is away."""
    if not selected:
        return
    oldest_first = sorted(selected, key=lambda each: (each.recorded_at, each.topic, each.partition, each.sequence))
    kafka(bootstrap, _send_and_note(client, bootstrap, oldest_first))


async def _send_and_note(client: Client, bootstrap: str, selected: Sequence[Letter]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        for letter in selected:
            sent = await producer.send_and_wait(letter.topic, letter.value, key=letter.key, partition=letter.partition)
            client.insert(
                "feedback.redrives",
                [(letter.topic, letter.partition, letter.sequence, sent.offset, datetime.now(UTC))],
                column_names=["topic", "kafka_partition", "sequence", "new_offset", "redriven_at"],
                settings={"async_insert": 0},
            )
    finally:
        await producer.stop()
