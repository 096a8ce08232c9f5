"""Removes traces without recent events as a whole: their feedback, requests, aggregates and journal.

An expire event for each trace is sent through the log like any other. The workers process it in order, remove the trace
from what is shown, and publish tombstones; a trace that has had an event meanwhile stays. When the workers have
committed the expire events, the rows are removed for good, the journal last, because it says what to remove. When Kafka
has deleted all records that an expire event covers, the last rows and the event itself are removed. Rollups stay as
they are. Each step may be repeated, and the next pass completes an interrupted one.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from clickhouse_connect.driver.client import Client

from operations.connections import clickhouse, kafka, offset_base
from operations.erase.events import wait_until_committed
from operations.expire import statements as statements
from operations.produce import OutgoingRecord, send
from operations.progress import Progress
from operations.removal import mutate
from operations.retention import read_setting, store_setting
from runtime.kafka_offsets import Offsets, committed_offsets, start_offsets
from runtime.times import rfc3339_of
from schemas import ids
from schemas.topics import FEEDBACK_EVENTS, INPUTS, REQUEST_LOGS

MOST_TRACES = 500_000
"""The most traces that one pass removes."""


@dataclass(frozen=True)
class ExpiryTarget:
    """The addresses of the engines, and the group and offset base of the workers."""

    clickhouse_url: str
    bootstrap: str
    group: str
    offset_base: int | None = None
    patience_s: float = 60


@dataclass(frozen=True)
class Positions:
    """Sequences by partition, from 0: where Kafka's log begins, and up to where the workers have committed."""

    starts: Offsets
    committed: Offsets
    base: int

    @property
    def partitions(self) -> int:
        return sum(topic == FEEDBACK_EVENTS for topic, _ in self.starts)

    def parameters(self) -> dict[str, object]:
        """The parameters of its statements."""
        return {
            "partitions": self.partitions,
            "feedback_before": self._sequences(FEEDBACK_EVENTS, self.committed),
            "requests_before": self._sequences(REQUEST_LOGS, self.committed),
            "feedback_start": self._sequences(FEEDBACK_EVENTS, self.starts),
            "requests_start": self._sequences(REQUEST_LOGS, self.starts),
        }

    def _sequences(self, topic: str, offsets: Offsets) -> list[int]:
        # A partition without a commit has been read up to its start.
        return [self.base + offsets.get((topic, n), self.starts[topic, n]) for n in range(self.partitions)]


def count_due_traces(target: ExpiryTarget, idle_since: int) -> int:
    """How many traces are due now."""
    with clickhouse(target.clickhouse_url) as client:
        return len(_due_traces(client, _positions(client, target), idle_since, MOST_TRACES))


def expire(target: ExpiryTarget, idle_since: int | None, progress: Progress) -> int:
    """Remove traces without an event since this time (Unix seconds), and complete earlier passes; without a time only
    the latter.

    Returns how many traces were due. CommandError where it cannot be completed.
    """
    with clickhouse(target.clickhouse_url) as client:
        found = 0 if idle_since is None else _send_expire_events(client, target, idle_since, progress)
        if found:
            kafka(target.bootstrap, wait_until_committed(target.bootstrap, target.group, target.patience_s, progress))
        _remove(client, _positions(client, target), progress)
        return found


def _positions(client: Client, target: ExpiryTarget) -> Positions:
    base = offset_base(client, target.offset_base)
    committed = kafka(target.bootstrap, committed_offsets(target.bootstrap, target.group, INPUTS))
    return Positions(kafka(target.bootstrap, start_offsets(target.bootstrap, INPUTS)), committed, base)


def _due_traces(client: Client, positions: Positions, idle_since: int, most: int) -> list[tuple[int, int]]:
    """The trace hashes that are due, with their partitions."""
    parameters = {**positions.parameters(), "idle_since": idle_since, "most": most}
    found = client.query(f"{statements.DUE_TRACES} LIMIT {{most:UInt64}}", parameters, settings=statements.IN_ORDER)
    return [(int(trace_hash), int(partition)) for trace_hash, partition in found.result_rows]


def _send_expire_events(client: Client, target: ExpiryTarget, idle_since: int, progress: Progress) -> int:
    # Read before the journal, so that the journal has all that is committed.
    positions = _positions(client, target)
    found = _due_traces(client, positions, idle_since, MOST_TRACES)
    if not found:
        return 0
    # Rollups of hours before this may count removed rows; that is noted before any row is removed.
    store_setting(client, "expired_before", max(idle_since, read_setting(client, "expired_before", 0)))
    parameters, now = positions.parameters(), datetime.now(UTC)
    before = {name: parameters[name] for name in ("feedback_before", "requests_before")}
    records = []
    for trace_hash, partition in found:
        event_id = str(ids.new_id(trace_hash, int(now.timestamp() * 1000)))
        event = {"event": "expire", "feedback_id": event_id, "expired_at": rfc3339_of(now)}
        event |= {name: sequences[partition] for name, sequences in before.items()}  # type: ignore[index]
        records.append(OutgoingRecord(FEEDBACK_EVENTS, trace_hash, event_id.encode(), msgspec.json.encode(event)))
    kafka(target.bootstrap, send(target.bootstrap, records, "expire events sent", progress))
    return len(found)


def _remove(client: Client, positions: Positions, progress: Progress) -> None:
    """Remove what committed expire events cover, then the remains of completed removals."""
    parameters = positions.parameters()
    client.command(statements.NOTE_RECORDS, parameters=parameters)
    client.command(statements.CLEAR_EXPIRING)
    client.command(statements.NOTE_EXPIRING, parameters=parameters)
    has_expiring = bool(client.command("SELECT count() FROM feedback.expiring"))
    has_completed = bool(client.command(statements.COUNT_COMPLETED, parameters=parameters))
    if not has_expiring and not has_completed:
        return
    older = {"feedback_rows": statements.OLDER_FEEDBACK, "trace_aggregate_rows": statements.OLDER_AGGREGATES}
    if has_expiring:
        older["request_log_rows"] = statements.REQUEST_ROWS
    _delete(client, older, parameters, progress)
    if has_completed:
        last = {"feedback_rows": statements.LAST_FEEDBACK, "trace_aggregate_rows": statements.LAST_AGGREGATES}
        _delete(client, last, parameters, progress)
    removed = [*[statements.JOURNAL] * has_expiring, *[statements.EXPIRE_EVENTS] * has_completed]
    _delete(client, {"journal": " OR ".join(f"({each})" for each in removed)}, parameters, progress)
    client.command(statements.CLEAR_EXPIRING)


def _delete(client: Client, conditions: dict[str, str], parameters: dict[str, object], progress: Progress) -> None:
    mutate(
        client, {table: f"DELETE WHERE {condition}" for table, condition in conditions.items()}, parameters, progress
    )
