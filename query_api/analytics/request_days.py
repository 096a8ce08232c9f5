"""What the requests of whole days add up to by one key of their metadata, kept once somebody has asked for the key.

ClickHouse numbers blocks of rows as they become readable, and notes each removal of rows. A day is kept with the
numbers of the newest blocks of requests and traces, and the newest removal, that there were before it was computed. So
it is still right if there was no other removal since, and no newer block has a request of the day or a trace with one.
Tables that are restored from a backup have their blocks numbered anew, so nothing counts that was kept of others.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from query_api.clickhouse import Reader
from runtime.concurrent_calls import answers_of

SETTLED = timedelta(hours=6)
"""A day that ended so long ago is kept. Until then, feedback on its requests comes all the time."""
MOST_GROUPS = 50_000
"""Of a key with more values nothing is kept: of a session, for example, there are about as many as requests."""
DAY = timedelta(days=1)
_LONGEST = timedelta(days=400)
_OF_KEY = "workspace = {workspace:String} AND key = {group_key:String}"
STATE = "requests_block, traces_block, removal"
_STORED = f"""
SELECT day, {STATE} FROM feedback.request_day_sums WHERE {_OF_KEY} AND day >= {{first:Date}} AND day < {{end:Date}}
ORDER BY made_at DESC LIMIT 1 BY day
"""
_IS_READ = "database = 'feedback' AND %s IN ('request_log_rows', 'trace_aggregate_rows')"
NOW = f"""
SELECT
    maxIf(max_block_number, table = 'request_log_rows') AS requests_block,
    maxIf(max_block_number, table = 'trace_aggregate_rows') AS traces_block,
    (
        SELECT (sipHash64(arraySort(groupArray((table, newest)))), max(has_more) = 0) FROM (
            SELECT table, max(toUInt64OrZero(extract(mutation_id, '[0-9]+'))) AS newest, max(NOT is_done) AS has_more
            FROM system.mutations WHERE {_IS_READ % "table"} GROUP BY table
        )
    ) AS mutations,
    (
        SELECT sipHash64(arraySort(groupArray((name, uuid, metadata_modification_time)))) FROM system.tables
        WHERE {_IS_READ % "name"}
    ) AS tables,
    sipHash64(mutations.1, tables) AS removal, mutations.2 AS is_settled
FROM system.parts WHERE database = 'feedback' AND active
"""
_IS_NEWER = "toUInt64OrZero(splitByChar('_', _part)[3]) > {%(block)s:UInt64} AND _block_number > {%(block)s:UInt64}"
# A trace without days was stored by a worker that did not know them, or is being removed: it may be of any day.
_CHANGED = f"""
SELECT day, max(of_requests) AS requests_block, max(of_traces) AS traces_block FROM (
    SELECT toDate(started_at) AS day, max(_block_number) AS of_requests, 0 AS of_traces
    FROM feedback.request_log_rows
    WHERE workspace = {{workspace:String}} AND {_IS_NEWER % {"block": "requests_block"}}
        AND started_at >= {{first:Date}} AND started_at < {{end:Date}}
    GROUP BY day
    UNION ALL
    SELECT arrayJoin(range(first_day, last_day))::Date, 0, newest FROM (
        SELECT first_request_day = toDate(0) AS is_of_any,
            toUInt32(if(is_of_any, {{first:Date}}, greatest(first_request_day, {{first:Date}}))) AS first_day,
            toUInt32(if(is_of_any, {{end:Date}}, least(last_request_day + 1, {{end:Date}}))) AS last_day,
            max(_block_number) AS newest
        FROM feedback.trace_aggregate_rows
        WHERE workspace = {{workspace:String}} AND {_IS_NEWER % {"block": "traces_block"}}
            AND (requests > 0 OR is_expired)
        GROUP BY is_of_any, first_day, last_day
    )
)
GROUP BY day
"""
KEPT = f"""
SELECT * FROM feedback.request_day_sums
WHERE {_OF_KEY} AND (day, {STATE}) IN {{kept:Array(Tuple(Date, UInt64, UInt64, UInt64))}}
LIMIT 1 BY day
"""
"""A query for the rows of the days that `parameters_of` names."""
IS_OF_A_KEPT_DAY = """
first_request_day = last_request_day AND first_request_day IN {kept_days:Array(Date)}
"""
"""Whether all requests of a trace began on one of these days."""


class State(NamedTuple):
    """The newest blocks of requests and traces, and a number that tells the tables and the newest removal of each."""

    requests_block: int
    traces_block: int
    removal: int


@dataclass(frozen=True)
class KeyOfRequests:
    """A key of the metadata of a workspace's requests; `value` is SQL for what a request `r` says under it."""

    workspace: str
    key: str
    value: str

    @property
    def parameters(self) -> dict[str, Any]:
        """Of statements that hold `value`."""
        return {"workspace": self.workspace, "group_key": self.key}


@dataclass(frozen=True)
class DaysOfKey:
    """Whole days of a key, from `first` to before `end`."""

    of: KeyOfRequests
    first: date
    end: date

    @property
    def parameters(self) -> dict[str, Any]:
        return self.of.parameters | {"first": self.first, "end": self.end}

    def each(self) -> list[date]:
        """All of them, in their order."""
        return [self.first + number * DAY for number in range((self.end - self.first).days)]


KeptDays = Mapping[date, State]
"""Days whose sums are kept and still right, each with the state that it is kept under."""


def parameters_of(kept: KeptDays) -> dict[str, Any]:
    """The parameters of KEPT and IS_OF_A_KEPT_DAY."""
    return {"kept": [(day, *state) for day, state in kept.items()], "kept_days": list(kept)}


def whole_days(of: KeyOfRequests, since: datetime, until: datetime, now: datetime) -> DaysOfKey | None:
    """The whole days of a time that can be kept; None where there are none."""
    end = min(until, now - SETTLED).date()
    first = max((since + DAY - timedelta(milliseconds=1)).date(), end - _LONGEST)
    return DaysOfKey(of, first, end) if first < end else None


def time_beside(days: Collection[date], since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """The intervals of a time that are in none of these days; their ends are not included."""
    left, at = [], since
    for day in sorted(days):
        begins = datetime.combine(day, time(), UTC)
        left += [(at, begins)] * (at < begins)
        at = begins + DAY
    return left + [(at, until)] * (at < until)


async def kept_days(reader: Reader, days: DaysOfKey) -> KeptDays:
    """Those of the days whose sums are kept and still right. Raises what the client raises."""
    rows = await reader.rows(_STORED, days.parameters)
    stored = {row["day"]: state_in(row) for row in rows}
    if not stored:
        return {}
    since = {
        "requests_block": min(each.requests_block for each in stored.values()),
        "traces_block": min(each.traces_block for each in stored.values()),
    }
    (now,), newer = await answers_of(reader.rows(NOW), reader.rows(_CHANGED, days.parameters | since))
    changed = {row["day"]: row for row in newer}
    return {day: state for day, state in stored.items() if _is_right(state, now, changed.get(day))}


def state_in(row: Mapping[str, Any]) -> State:
    """The state that a row of NOW tells."""
    return State(row["requests_block"], row["traces_block"], row["removal"])


def _is_right(kept: State, now: Mapping[str, Any], changed: Mapping[str, Any] | None) -> bool:
    return (
        bool(now["is_settled"])
        and kept.removal == now["removal"]
        and (
            changed is None
            or (changed["requests_block"] <= kept.requests_block and changed["traces_block"] <= kept.traces_block)
        )
    )
