"""Summaries of the feedback on traces: counts and means, and value and weight of the newest. Both are read by key."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from query_api.clickhouse import Reader
from query_api.current_rows import PLACE, RANK
from query_api.exact_quotients import quotient_of
from query_api.reading.request_log_items import Pair
from query_api.trace_rows import feedback_of_traces, hashes_of

MOST_PAIRS = 20

# All versions, of which the last counts: FINAL would read whatever overlaps the few granules that hold these traces.
# Nothing is computed here: to plan each expression takes ClickHouse longer than to read these rows.
_NUMBERS = f"""
SELECT trace_id, feedback_count, weight_sum, value_weight_sum, is_expired FROM feedback.trace_aggregate_rows
PREWHERE workspace = {{workspace:String}} AND trace_id IN {{trace_ids:Array(String)}}
ORDER BY {RANK} DESC LIMIT 1 BY trace_id
"""
_PAIRS = f"""
SELECT trace_id, toString(feedback_id) AS id, value, toFloat64(weight) AS weight
FROM feedback.feedback_rows AS f
PREWHERE workspace = {{workspace:String}} AND trace_id IN {{trace_ids:Array(String)}} AND {feedback_of_traces("f")}
QUALIFY row_number() OVER (PARTITION BY {PLACE} ORDER BY {RANK} DESC) = 1 AND NOT is_deleted
ORDER BY created_at DESC, feedback_id DESC LIMIT {{most:UInt32}} BY trace_id
"""


@dataclass
class TraceSummary:
    """The feedback on a trace, as each of its requests shows it; pairs newest first."""

    feedback_count: int = 0
    mean_value_weight: float | None = None
    weighted_mean: float | None = None
    pairs: list[Pair] = field(default_factory=list)

    @property
    def feedback_summary(self) -> dict[str, Any]:
        """The fields of `request_log_items.FeedbackSummary`."""
        return {
            "feedback_count": self.feedback_count,
            "mean_value_weight": self.mean_value_weight,
            "weighted_mean": self.weighted_mean,
        }


async def summaries_of(reader: Reader, workspace: str, trace_ids: Collection[str]) -> dict[str, TraceSummary]:
    """Summaries of the traces that have feedback, without pairs. Raises what the client raises."""
    if not trace_ids:
        return {}
    rows = await reader.rows(_NUMBERS, {"workspace": workspace, "trace_ids": list(trace_ids)})
    return {row["trace_id"]: _summary(row) for row in rows if row["feedback_count"] and not row["is_expired"]}


def _summary(row: dict[str, Any]) -> TraceSummary:
    count, weight, total = row["feedback_count"], row["weight_sum"], row["value_weight_sum"]
    return TraceSummary(count, quotient_of(total, count), quotient_of(total, weight) if weight else None)


async def summaries_with_pairs(reader: Reader, workspace: str, trace_ids: Collection[str]) -> dict[str, TraceSummary]:
    """Summaries of the traces that have feedback, each with its newest pairs. Raises what the client raises."""
    summaries = await summaries_of(reader, workspace, trace_ids)
    if summaries:
        sought = {"workspace": workspace, "trace_ids": list(summaries), "most": MOST_PAIRS}
        for row in await reader.rows(_PAIRS, sought | hashes_of(workspace, summaries)):
            summaries[row.pop("trace_id")].pairs.append(Pair(**row))
    return summaries
