"""Makes the rows of each table from changes, as Arrow tables.

Columns are built one by one from snapshots; nothing here looks anything up. Ids are text, and weights are 128-bit
decimals made from whole billionths, without a Python object per number.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from stream_workers.join.changes import Changes
from stream_workers.join.claims import Claim, Keyed, digest_of
from stream_workers.join.incoming_events import Expired, IncomingEvent, RejectedRecord, field_json, milliseconds
from stream_workers.join.request_facts import RequestEntry, RequestFact
from stream_workers.join.snapshots import FeedbackSnapshot, TraceSnapshot

_encode = msgspec.json.Encoder().encode
_MS = pa.timestamp("ms", tz="UTC")
_STRINGS = pa.list_(pa.string())

CLAIMS = "idempotency_keys"
"""The table of `claims_table`."""

LOST = "lost_records"
"""The table of `lost_table`."""


class LostRecords(NamedTuple):
    """Sequences of one partition, from `first` to before `end`, whose records were lost before any worker read them."""

    topic: str
    partition: int
    first: int
    end: int


def tables(changes: Changes) -> dict[str, pa.Table]:
    """The rows of the changes, by table name."""
    built = {
        "journal": _journal(changes.journal) if changes.journal else None,
        "request_log_rows": _requests(changes.requests) if changes.requests else None,
        "feedback_rows": _feedback(changes.feedback) if changes.feedback else None,
        "trace_aggregate_rows": _aggregates(changes.traces) if changes.traces else None,
        "dead_letters": _dead_letters(changes.rejected) if changes.rejected else None,
    }
    return {name: table for name, table in built.items() if table is not None}


def _journal(entries: Sequence[tuple[IncomingEvent, RequestFact | None]]) -> pa.Table:
    events = [incoming for incoming, _ in entries]
    return pa.table(
        {
            "trace_hash": pa.array([incoming.trace_hash for incoming in events], pa.uint32()),
            "kind": pa.array([_kind(incoming, fact) for incoming, fact in entries]),
            "id": pa.array([incoming.identity for incoming in events]),
            "sequence": pa.array([incoming.sequence for incoming in events], pa.uint64()),
            "kafka_partition": pa.array([incoming.record.partition for incoming in events], pa.uint16()),
            "recorded_at": pa.array([int(incoming.event.at.timestamp()) for incoming in events], pa.uint32()),
            "line": pa.array([_line(incoming, fact) for incoming, fact in entries], pa.binary()),
        }
    )


def _kind(incoming: IncomingEvent, fact: RequestFact | None) -> str:
    if fact is not None:
        return "request"
    return "expiry" if type(incoming.event) is Expired else "feedback"


def _line(incoming: IncomingEvent | RequestEntry, fact: RequestFact | None) -> bytes:
    """A journal entry in the form in which a look-up returns it, see lookup.py."""
    entry: Any = incoming.record.value if fact is None else _encode(fact)  # type: ignore[union-attr]  # an event has one
    return b'[%d,"%b",%d,%b]' % (incoming.trace_hash, incoming.identity.encode(), incoming.sequence, entry)


def request_entries(entries: Sequence[RequestEntry]) -> pa.Table:
    """Rows of the journal."""
    return pa.table(
        {
            "trace_hash": pa.array([each.trace_hash for each in entries], pa.uint32()),
            "kind": pa.array(["request"] * len(entries)),
            "id": pa.array([each.identity for each in entries]),
            "sequence": pa.array([each.sequence for each in entries], pa.uint64()),
            "kafka_partition": pa.array([each.partition for each in entries], pa.uint16()),
            "recorded_at": pa.array([each.recorded_at for each in entries], pa.uint32()),
            "line": pa.array([_line(each, each.fact) for each in entries], pa.binary()),
        }
    )


def claims_table(claims: Mapping[Claim, Keyed]) -> pa.Table:
    """Rows that claim each idempotency key for the call of its event."""
    return pa.table(
        {
            "workspace": pa.array([workspace for workspace, _ in claims]),
            "idempotency_key": pa.array([key for _, key in claims]),
            "digest": pa.array([digest_of(event) for event in claims.values()]),
            "claimed_at": _times([milliseconds(event.at) for event in claims.values()]),
        }
    )


def lost_table(lost: Sequence[LostRecords]) -> pa.Table:
    """Rows of lost records."""
    return pa.table(
        {
            "topic": pa.array([each.topic for each in lost]),
            "kafka_partition": pa.array([each.partition for each in lost], pa.uint16()),
            "first_sequence": pa.array([each.first for each in lost], pa.uint64()),
            "end_sequence": pa.array([each.end for each in lost], pa.uint64()),
        }
    )


def _feedback(snapshots: Sequence[FeedbackSnapshot]) -> pa.Table:
    special = list(zip(*[each.specials for each in snapshots], strict=True))
    home = list(zip(*[each.home for each in snapshots], strict=True))
    return pa.table(
        {
            "workspace": pa.array([each.workspace for each in snapshots]),
            "feedback_id": pa.array([each.feedback_id for each in snapshots]),
            "trace_id": pa.array([each.trace_id for each in snapshots]),
            "value": pa.array([each.value for each in snapshots], pa.int8()),
            "weight": decimals([each.weight for each in snapshots], 18),
            "created_at": _times([each.created_at for each in snapshots]),
            "updated_at": _times([each.updated_at for each in snapshots]),
            "join_state": pa.array([each.join_state for each in snapshots]),
            "models": pa.array([each.models for each in snapshots], _STRINGS),
            "providers": pa.array([each.providers for each in snapshots], _STRINGS),
            "_user": pa.array(special[0]),
            "_organisation": pa.array(special[1]),
            "_prompt": pa.array(special[2]),
            "_environment": pa.array(special[3]),
            "metadata": pa.array([each.metadata for each in snapshots], pa.binary()),
            "home_user": pa.array(home[0]),
            "home_organisation": pa.array(home[1]),
            "home_prompt": pa.array(home[2]),
            "home_environment": pa.array(home[3]),
            "version": pa.array([each.version for each in snapshots], pa.uint64()),
            "is_deleted": pa.array([each.deleted for each in snapshots]).cast(pa.uint8()),
        }
    )


def _requests(events: Sequence[IncomingEvent]) -> pa.Table:
    logs: list[Any] = [incoming.event for incoming in events]

    def text(name: str) -> "pa.Array[Any]":
        return pa.array([getattr(log, name) or "" for log in logs], pa.string())

    def number(name: str, kind: pa.DataType) -> "pa.Array[Any]":
        return pa.array([getattr(log, name) for log in logs], kind)

    def json(name: str) -> "pa.Array[Any]":
        return pa.array([field_json(getattr(log, name)) or b"" for log in logs], pa.binary())

    return pa.table(
        {name: text(name) for name in ("workspace", "request_id", "trace_id", "span_id", "parent_span_id")}
        | {name: text(name) for name in ("span_name", "provider", "model", "method", "url")}
        | {f"_{name}": text(name) for name in ("user", "organisation", "prompt", "environment")}
        | {name: number(name, pa.float64()) for name in ("response_time_ms", "cost")}
        | {name: number(name, pa.uint64()) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
        | {name: json(name) for name in ("metadata", "request_headers", "request_body")}
        | {name: json(name) for name in ("response_headers", "response_body")}
        | {
            "status": number("status", pa.uint16()),
            "started_at": _times([milliseconds(log.started_at) for log in logs]),
            "received_at": _times([milliseconds(log.at) for log in logs]),
            "sequence": pa.array([incoming.sequence for incoming in events], pa.uint64()),
        }
    )


def _aggregates(snapshots: Sequence[TraceSnapshot]) -> pa.Table:
    return pa.table(
        {
            "workspace": pa.array([each.workspace for each in snapshots]),
            "trace_id": pa.array([each.trace_id for each in snapshots]),
            "feedback_count": pa.array([each.feedback_count for each in snapshots], pa.uint32()),
            "weight_sum": decimals([each.weight_sum for each in snapshots], 38),
            "value_weight_sum": decimals([each.value_weight_sum for each in snapshots], 38),
            "weight_value_squared_sum": decimals([each.weight_value_squared_sum for each in snapshots], 38),
            "value_min": pa.array([each.value_min for each in snapshots], pa.int8()),
            "value_max": pa.array([each.value_max for each in snapshots], pa.int8()),
            "value_last": pa.array([each.value_last for each in snapshots], pa.int8()),
            "requests": pa.array([each.requests for each in snapshots], pa.uint32()),
            "first_request_day": _days([each.first_request_day for each in snapshots]),
            "last_request_day": _days([each.last_request_day for each in snapshots]),
            "updated_at": _times([each.updated_at for each in snapshots]),
            "version": pa.array([each.version for each in snapshots], pa.uint64()),
            "is_expired": pa.array([each.is_expired for each in snapshots]).cast(pa.uint8()),
        }
    )


def _dead_letters(rejected_records: Sequence[RejectedRecord]) -> pa.Table:
    return pa.table(
        {
            "topic": pa.array([each.record.topic for each in rejected_records]),
            "kafka_partition": pa.array([each.record.partition for each in rejected_records], pa.uint16()),
            "sequence": pa.array([each.sequence for each in rejected_records], pa.uint64()),
            "kafka_offset": pa.array([each.record.offset for each in rejected_records], pa.uint64()),
            "recorded_at": _times([max(each.record.timestamp, 0) for each in rejected_records]),
            "reason": pa.array([each.reason for each in rejected_records]),
            "detail": pa.array([each.detail for each in rejected_records]),
            "key": pa.array([each.record.key or b"" for each in rejected_records], pa.binary()),
            "value": pa.array([each.record.value or b"" for each in rejected_records], pa.binary()),
        }
    )


def _days(days: Iterable[int]) -> "pa.Array[Any]":
    """As ClickHouse's Date, which ends in 2149."""
    return pa.array([min(max(day, 0), 0xFFFF) for day in days], pa.uint16())


def _times(unix_ms: Any) -> "pa.Array[Any]":
    times: pa.Array[Any] = pa.array(unix_ms, pa.int64()).cast(_MS)
    return times


def decimals(billionths: Any, precision: int) -> "pa.Array[Any]":
    """Whole billionths as decimal128(precision, 9): the same 128-bit integers with another scale."""
    whole = pa.array(billionths, pa.int64()).cast(pa.decimal128(38, 0))
    return pa.Array.from_buffers(pa.decimal128(precision, 9), len(whole), whole.buffers())
