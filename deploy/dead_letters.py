"""Dead letters, listed, shown, and sent through again once their cause is mended.

A letter is named by its place, `topic/partition/sequence`. Sending it through writes its bytes under its key to its
partition as a new record; what becomes of that is the workers' to find. A ledger keeps a letter from being sent twice
by mistake: where a crash left it out, the letter is sent again, which is harmless, since creates and requests are known
by their ids and a change is refused where the feedback has moved on since (dead_guard.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaProducer
from clickhouse_connect.driver.client import Client

from deploy.engines import CommandError, kafka

_LETTERS = """
SELECT toString(topic) AS topic, kafka_partition, sequence, kafka_offset, recorded_at, toString(reason) AS reason,
    detail, hex(key) AS key, hex(value) AS value, feedback_id, toBool((topic, kafka_partition, sequence) IN (
        SELECT topic, kafka_partition, sequence FROM feedback.redrives)) AS redriven
FROM feedback.dead_letters FINAL
WHERE {condition}
ORDER BY recorded_at DESC, topic, kafka_partition, sequence DESC LIMIT {{limit:UInt32}}
"""
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


@dataclass(frozen=True)
class Filter:
    """Which letters are meant; what is empty does not narrow."""

    reason: str = ""
    topic: str = ""
    since: datetime | None = None
    place: tuple[str, int, int] | None = None

    @property
    def condition(self) -> str:
        parts = ["1"]
        parts += ["reason = {reason:String}"] if self.reason else []
        parts += ["topic = {topic:String}"] if self.topic or self.place else []
        parts += ["recorded_at >= {since:DateTime64(3)}"] if self.since else []
        parts += ["kafka_partition = {partition:UInt16} AND sequence = {sequence:UInt64}"] if self.place else []
        return " AND ".join(parts)

    @property
    def parameters(self) -> dict[str, Any]:
        topic, partition, sequence = self.place or (self.topic, 0, 0)
        since = {"since": self.since} if self.since else {}
        return {"reason": self.reason, "topic": topic, "partition": partition, "sequence": sequence, **since}


@dataclass(frozen=True)
class Letter:
    """One dead letter. `value` and `key` are the record's bytes."""

    topic: str
    partition: int
    sequence: int
    offset: int
    recorded_at: datetime
    reason: str
    detail: str
    key: bytes
    value: bytes
    feedback_id: str
    redriven: bool

    @property
    def place(self) -> str:
        return f"{self.topic}/{self.partition}/{self.sequence}"


def letters(client: Client, wanted: Filter, limit: int) -> list[Letter]:
    """The latest letters first."""
    query = _LETTERS.format(condition=wanted.condition)
    rows = client.query(query, wanted.parameters | {"limit": limit}).result_rows
    return [Letter(*row[:7], *map(bytes.fromhex, row[7:9]), *row[9:]) for row in rows]


def require_reason(client: Client, reason: str) -> None:
    """CommandError, with those there are, where no letter has this reason and none could."""
    known = sorted(WHAT_TO_DO | {row[0]: "" for row in reasons(client, Filter())})
    if reason and reason not in known:
        raise CommandError(f"There is no reason {reason!r}. There are: {', '.join(known)}.")


def reasons(client: Client, wanted: Filter) -> list[list[Any]]:
    """Per reason and topic: how many letters, the first and last time, and one detail."""
    rows = client.query(_REASONS.format(condition=wanted.condition), wanted.parameters).result_rows
    return [list(row) for row in rows]


def redrive(client: Client, bootstrap: str, chosen: Sequence[Letter]) -> None:
    """Send the letters through again, oldest first, and note each in the ledger. CommandError if Kafka is away."""
    for letter in chosen:
        if not letter.value:
            raise CommandError(f"{letter.place} has no value, so there is nothing to send; nothing was sent.")
    oldest_first = sorted(chosen, key=lambda each: (each.recorded_at, each.topic, each.partition, each.sequence))
    kafka(bootstrap, _send(client, bootstrap, oldest_first))


async def _send(client: Client, bootstrap: str, chosen: Sequence[Letter]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        for letter in chosen:
            sent = await producer.send_and_wait(letter.topic, letter.value, key=letter.key, partition=letter.partition)
            client.insert(
                "feedback.redrives",
                [(letter.topic, letter.partition, letter.sequence, sent.offset, datetime.now(UTC))],
                column_names=["topic", "kafka_partition", "sequence", "new_offset", "redriven_at"],
                settings={"async_insert": 0},
            )
    finally:
        await producer.stop()
