"""Changes → the rows of each table, as Arrow.

Columns are built side by side from state that is already decided; nothing here looks anything up. Ids travel as
text and weights as 128-bit decimals made from whole billionths, without a Python object per number.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from stream_workers.decode import Arrival, Fault, Requested, Updated, given
from stream_workers.facts import RequestFact
from stream_workers.join import Changes, version_of
from stream_workers.state import Feedback, Specials, Trace, milliseconds

_MS = pa.timestamp("ms", tz="UTC")
_STRINGS = pa.list_(pa.string())


def tables(changes: Changes, faults: Sequence[Fault]) -> dict[str, pa.Table]:
    """The rows of a poll by table name, in the order in which they must be stored: the journal first."""
    dead = [*faults, *changes.dead]
    built = {
        "trace_journal": _journal(changes.journal) if changes.journal else None,
        "request_log_rows": _requests(changes.requests) if changes.requests else None,
        "feedback_rows": _feedback(list(changes.feedback.values())) if changes.feedback else None,
        "trace_aggregate_rows": _aggregates(list(changes.traces.values())) if changes.traces else None,
        "dead_letters": _dead(dead) if dead else None,
    }
    return {name: table for name, table in built.items() if table is not None}


def in_force(held: Trace, feedback: Feedback) -> Specials:
    """The special fields of a feedback: its own, and where it has none, the earliest request's."""
    if all(feedback.specials):
        return feedback.specials
    user, organisation, prompt, environment = (
        own or found for own, found in zip(feedback.specials, held.facts.specials(), strict=True)
    )
    return (user, organisation, prompt, environment)


def join_state(held: Trace) -> str:
    return "joined" if held.facts.count else "pending"


def _journal(entries: Sequence[tuple[Arrival, RequestFact | None]]) -> pa.Table:
    encode = msgspec.json.encode
    events = [arrival.event for arrival, _ in entries]
    return pa.table(
        {
            "trace_hash": pa.array([arrival.trace_hash for arrival, _ in entries], pa.uint32()),
            "kind": pa.array(["feedback" if fact is None else "request" for _, fact in entries]),
            "id": pa.array([e.request_id if isinstance(e, Requested) else e.feedback_id for e in events]),
            "sequence": pa.array([arrival.sequence for arrival, _ in entries], pa.uint64()),
            "kafka_partition": pa.array([arrival.record.partition for arrival, _ in entries], pa.uint16()),
            "recorded_at": pa.array([int(_recorded_at(e).timestamp()) for e in events], pa.uint32()),
            "entry": pa.array(
                [arrival.record.value if fact is None else encode(fact) for arrival, fact in entries], pa.binary()
            ),
        }
    )


def _recorded_at(event: Any) -> Any:
    if isinstance(event, Requested):
        return event.received_at
    if isinstance(event, Updated):
        return event.updated_at
    return getattr(event, "created_at", None) or event.deleted_at


def _feedback(items: Sequence[tuple[Trace, Feedback]]) -> pa.Table:
    special = _columns([in_force(held, each) for held, each in items])
    home = _columns([each.home for _, each in items])
    feedback = [each for _, each in items]
    sorted_sets = _SortedSets()
    return pa.table(
        {
            "workspace": pa.array([held.workspace for held, _ in items]),
            "feedback_id": pa.array([each.feedback_id for each in feedback]),
            "trace_id": pa.array([held.trace_id for held, _ in items]),
            "value": pa.array([each.value for each in feedback], pa.int8()),
            "weight": decimals([each.weight for each in feedback], 18),
            "created_at": _times([each.created_at for each in feedback]),
            "updated_at": _times([each.updated_at for each in feedback]),
            "join_state": pa.array([join_state(held) for held, _ in items]),
            "models": pa.array([sorted_sets(held.facts.models) for held, _ in items], _STRINGS),
            "providers": pa.array([sorted_sets(held.facts.providers) for held, _ in items], _STRINGS),
            "_user": special[0],
            "_organisation": special[1],
            "_prompt": special[2],
            "_environment": special[3],
            "metadata": pa.array([each.metadata for each in feedback], pa.binary()),
            "home_user": home[0],
            "home_organisation": home[1],
            "home_prompt": home[2],
            "home_environment": home[3],
            "version": pa.array([version_of(each.sequence, held) for held, each in items], pa.uint64()),
            "is_deleted": pa.array([int(each.deleted) for each in feedback], pa.uint8()),
        }
    )


def _requests(arrivals: Sequence[Arrival]) -> pa.Table:
    logs: list[Any] = [arrival.event for arrival in arrivals]

    def text(name: str) -> pa.Array:
        return pa.array([getattr(log, name) or "" for log in logs])

    def number(name: str, kind: pa.DataType) -> pa.Array:
        return pa.array([getattr(log, name) for log in logs], kind)

    def json(name: str) -> pa.Array:
        return pa.array([given(getattr(log, name)) or b"" for log in logs], pa.binary())

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
            "started_at": _times([milliseconds(log.started_at.timestamp()) for log in logs]),
            "received_at": _times([milliseconds(log.received_at.timestamp()) for log in logs]),
            "sequence": pa.array([arrival.sequence for arrival in arrivals], pa.uint64()),
        }
    )


def _aggregates(traces: Sequence[Trace]) -> pa.Table:
    totals = [held.totals for held in traces]
    return pa.table(
        {
            "workspace": pa.array([held.workspace for held in traces]),
            "trace_id": pa.array([held.trace_id for held in traces]),
            "feedback_count": pa.array([each.count for each in totals], pa.uint32()),
            "weight_sum": decimals([each.weight_sum for each in totals], 38),
            "value_weight_sum": decimals([each.value_weight_sum for each in totals], 38),
            "weight_value_squared_sum": decimals([each.weight_value_squared_sum for each in totals], 38),
            "value_min": pa.array([each.value_min for each in totals], pa.int8()),
            "value_max": pa.array([each.value_max for each in totals], pa.int8()),
            "value_last": pa.array([held.last.value if held.last else None for held in traces], pa.int8()),
            "requests": pa.array([held.facts.count for held in traces], pa.uint32()),
            "version": pa.array([version_of(held.sequence, held) for held in traces], pa.uint64()),
        }
    )


def _dead(faults: Sequence[Fault]) -> pa.Table:
    return pa.table(
        {
            "topic": pa.array([fault.record.topic for fault in faults]),
            "kafka_partition": pa.array([fault.record.partition for fault in faults], pa.uint16()),
            "sequence": pa.array([fault.sequence for fault in faults], pa.uint64()),
            "kafka_offset": pa.array([fault.record.offset for fault in faults], pa.uint64()),
            "recorded_at": _times([max(fault.record.timestamp, 0) for fault in faults]),
            "reason": pa.array([fault.reason for fault in faults]),
            "detail": pa.array([fault.detail for fault in faults]),
            "key": pa.array([fault.record.key or b"" for fault in faults], pa.binary()),
            "value": pa.array([fault.record.value or b"" for fault in faults], pa.binary()),
        }
    )


class _SortedSets:
    """Sorted lists of small sets, each set sorted once however many rows share it."""

    def __init__(self) -> None:
        self._seen: dict[int, list[str]] = {}

    def __call__(self, names: set[str]) -> list[str]:
        if (held := self._seen.get(id(names))) is None:
            held = self._seen[id(names)] = sorted(names)
        return held


def _columns(rows: Iterable[Specials]) -> list[pa.Array]:
    return [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]


def _times(milliseconds_since_epoch: list[int]) -> pa.Array:
    return pa.array(milliseconds_since_epoch, pa.int64()).cast(_MS)


def decimals(billionths: list[int], precision: int) -> pa.Array:
    """Whole billionths as decimal128(precision, 9). Each must fit in 64 bits."""
    low = np.array(billionths, dtype=np.int64)
    words = np.empty((len(low), 2), dtype=np.int64)
    words[:, 0] = low
    words[:, 1] = low >> 63
    return pa.Array.from_buffers(pa.decimal128(precision, 9), len(low), [None, pa.py_buffer(words)])
