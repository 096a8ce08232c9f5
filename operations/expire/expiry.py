"""Removing traces on which nothing has happened for long, whole: their feedback, requests, numbers and journal.

A notice to each trace goes through the log, like any event, so that the workers take the trace out in its order and
publish tombstones; a trace that has come alive meanwhile stays. From then on nothing of it is shown. Once the workers
have committed the notices, rows are removed for good, the journal last, since it says what has to go; when Kafka holds
nothing any more that a notice covers, the last rows and the notice itself. Hours and days say what was given, and keep
it. Each step may be repeated, and a pass that was cut off is finished by the next.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from clickhouse_connect.driver.client import Client

from operations.connections import clickhouse, kafka, offset_base
from operations.erase.events import until_committed
from operations.expire import statements as statements
from operations.produce import Record, send
from operations.progress import Progress
from operations.removal import mutate
from operations.retention import note, noted
from runtime.kafka_offsets import Offsets, committed_offsets, start_offsets
from runtime.times import rfc3339_of
from schemas import ids
from schemas.topics import FEEDBACK_EVENTS, INPUTS, REQUEST_LOGS

MOST_TRACES = 500_000
"""How many traces one pass removes at most."""


@dataclass(frozen=True)
class Place:
    """Where the engines and the workers are."""

    clickhouse_url: str
    bootstrap: str
    group: str
    offset_base: int | None = None
    patience_s: float = 60


@dataclass(frozen=True)
class Positions:
    """Sequences by partition, from 0: where Kafka's log begins, and before which the workers have committed all."""

    starts: Offsets
    committed: Offsets
    base: int

    @property
    def partitions(self) -> int:
        return sum(topic == FEEDBACK_EVENTS for topic, _ in self.starts)

    def parameters(self) -> dict[str, object]:
        """As statements take them."""
        return {
            "partitions": self.partitions,
            "feedback_before": self._of(FEEDBACK_EVENTS, self.committed),
            "requests_before": self._of(REQUEST_LOGS, self.committed),
            "feedback_start": self._of(FEEDBACK_EVENTS, self.starts),
            "requests_start": self._of(REQUEST_LOGS, self.starts),
        }

    def _of(self, topic: str, offsets: Offsets) -> list[int]:
        # What was never committed has been read to its start.
        return [self.base + offsets.get((topic, n), self.starts[topic, n]) for n in range(self.partitions)]


def due(place: Place, idle_since: int) -> int:
    """How many traces a pass would begin to remove now."""
    with clickhouse(place.clickhouse_url) as client:
        return len(_due(client, _positions(client, place), idle_since, MOST_TRACES))


def expire(place: Place, idle_since: int | None, progress: Progress) -> int:
    """Remove traces without an event since this moment (Unix seconds), and what earlier passes have left; without a
    moment only the latter.

    How many traces were found due. CommandError where it cannot be completed.
    """
    with clickhouse(place.clickhouse_url) as client:
        found = 0 if idle_since is None else _send_notices(client, place, idle_since, progress)
        if found:
            kafka(place.bootstrap, until_committed(place.bootstrap, place.group, place.patience_s, progress))
        _remove(client, _positions(client, place), progress)
        return found


def _positions(client: Client, place: Place) -> Positions:
    base = offset_base(client, place.offset_base)
    committed = kafka(place.bootstrap, committed_offsets(place.bootstrap, place.group, INPUTS))
    return Positions(kafka(place.bootstrap, start_offsets(place.bootstrap, INPUTS)), committed, base)


def _due(client: Client, positions: Positions, idle_since: int, most: int) -> list[tuple[int, int]]:
    """Trace hashes and their partitions."""
    parameters = {**positions.parameters(), "idle_since": idle_since, "most": most}
    found = client.query(f"{statements.DUE} LIMIT {{most:UInt64}}", parameters, settings=statements.IN_ORDER)
    return [(int(trace_hash), int(partition)) for trace_hash, partition in found.result_rows]


def _send_notices(client: Client, place: Place, idle_since: int, progress: Progress) -> int:
    # Read before the journal: what is committed is in there.
    positions = _positions(client, place)
    found = _due(client, positions, idle_since, MOST_TRACES)
    if not found:
        return 0
    # Hours from before this may hold more than the rows do; to be known before anything goes.
    note(client, "expired_before", max(idle_since, noted(client, "expired_before", 0)))
    told, now = positions.parameters(), datetime.now(UTC)
    before = {name: told[name] for name in ("feedback_before", "requests_before")}
    notices = []
    for trace_hash, partition in found:
        notice_id = str(ids.new_id(trace_hash, int(now.timestamp() * 1000)))
        notice = {"event": "expire", "feedback_id": notice_id, "expired_at": rfc3339_of(now)}
        notice |= {name: sequences[partition] for name, sequences in before.items()}  # type: ignore[index]
        notices.append(Record(FEEDBACK_EVENTS, trace_hash, notice_id.encode(), msgspec.json.encode(notice)))
    kafka(place.bootstrap, send(place.bootstrap, notices, "notices sent", progress))
    return len(found)


def _remove(client: Client, positions: Positions, progress: Progress) -> None:
    """Remove what committed notices cover, then what is left of removals that are over."""
    told = positions.parameters()
    client.command(statements.NOTE_RECORDS, parameters=told)
    client.command(statements.FORGET_EXPIRING)
    client.command(statements.NOTE_EXPIRING, parameters=told)
    some = bool(client.command("SELECT count() FROM feedback.expiring"))
    over = bool(client.command(statements.COUNT_OVER, parameters=told))
    if not some and not over:
        return
    older = {"feedback_rows": statements.OLDER_FEEDBACK, "trace_aggregate_rows": statements.OLDER_AGGREGATES}
    _delete(client, older | ({"request_log_rows": statements.REQUEST_ROWS} if some else {}), told, progress)
    if over:
        last = {"feedback_rows": statements.LAST_FEEDBACK, "trace_aggregate_rows": statements.LAST_AGGREGATES}
        _delete(client, last, told, progress)
    gone = [*[statements.JOURNAL] * some, *[statements.NOTICES] * over]
    _delete(client, {"journal": " OR ".join(f"({each})" for each in gone)}, told, progress)
    client.command(statements.FORGET_EXPIRING)


def _delete(client: Client, conditions: dict[str, str], told: dict[str, object], progress: Progress) -> None:
    mutate(client, {table: f"DELETE WHERE {condition}" for table, condition in conditions.items()}, told, progress)
