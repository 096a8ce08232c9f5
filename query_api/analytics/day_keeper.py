"""Computes what the requests of whole days add up to, and keeps it for the next question (request_days.py)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import date

from clickhouse_connect.driver.exceptions import ClickHouseError

from query_api.analytics.request_days import DAY, NOW, STATE, DaysOfKey, kept_days, state_in
from query_api.analytics.request_measures import COST_SUM
from query_api.clickhouse import Reader
from query_api.trace_rows import trace_number
from runtime.background_tasks import BackgroundTask
from runtime.log_setup import safe_error_text
from runtime.schema_version import TablesError

_REQUESTS_AT_ONCE = 2_000_000
_LONGEST_S = 300
_MOST_WAITING = 8

log = logging.getLogger(__name__)

_COUNTED = """
SELECT toDate(started_at) AS day, count() AS requests FROM feedback.request_log_rows
WHERE workspace = {workspace:String} AND started_at >= {first:Date} AND started_at < {end:Date} GROUP BY day
"""
_SUMS = (
    "value", "requests", "cost_sum", "tokens", "tokens_n", "first_seen", "last_seen",
    "with_feedback", "feedback_count", "value_weight_sum", "weight_sum",
)  # fmt: skip
_OTHERS = ("trace", "value", "requests")


class DayKeeper:
    """Keeps days after the answers that could have used them, one question after the other."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._asked: asyncio.Queue[DaysOfKey] = asyncio.Queue(_MOST_WAITING)
        self._task = BackgroundTask("keeping sums of days", self._keep_what_is_asked)

    def ask(self, days: DaysOfKey) -> None:
        """Have what is not kept of these days computed soon. If too much waits already, a later question asks again."""
        if not self._asked.full():
            self._asked.put_nowait(days)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Compute what is asked for until the end of the block."""
        self._task.start()
        try:
            yield
        finally:
            await self._task.stop()

    async def _keep_what_is_asked(self) -> None:
        while True:
            await self.keep(await self._asked.get())

    async def keep(self, days: DaysOfKey) -> None:
        """Compute what is not kept of these days, and keep it. What fails is left to the next question."""
        try:
            kept = await kept_days(self._reader, days)
            missing = [day for day in days.each() if day not in kept]
            for some in _portions(missing, await self._requests_of(days)) if missing else ():
                await self._compute(days, some)
        except (ClickHouseError, TablesError, OSError) as error:
            log.warning("what days of requests add up to is not kept: %s", safe_error_text(error))

    async def _requests_of(self, days: DaysOfKey) -> dict[date, int]:
        rows = await self._reader.rows(_COUNTED, days.parameters)
        return {row["day"]: row["requests"] for row in rows}

    async def _compute(self, days: DaysOfKey, some: list[date]) -> None:
        """Nothing while rows are being removed: what is computed then would not be right for long."""
        (now,) = await self._reader.rows(NOW)
        if now["is_settled"]:
            these = {"days": some, "first": some[0], "end": some[-1] + DAY, "state": tuple(state_in(now))}
            await self._reader.command(_keeping(days.of.value), days.parameters | these, _LONGEST_S)


def _portions(days: Iterable[date], requests: Mapping[date, int]) -> Iterator[list[date]]:
    """The days in their order, with few enough requests at once for ClickHouse's memory."""
    portion, held = [], 0
    for day in days:
        portion.append(day)
        held += requests.get(day, 0)
        if held >= _REQUESTS_AT_ONCE:
            yield portion
            portion, held = [], 0
    if portion:
        yield portion


def _keeping(value: str) -> str:
    """The statement that computes days and keeps them; `value` is SQL for the value of a request `r`."""
    return f"""
    INSERT INTO feedback.request_day_sums
    (
        workspace, key, {STATE}, day, {", ".join(f"groups.{name}" for name in _SUMS)},
        {", ".join(f"others.{name}" for name in _OTHERS)}
    )
    SELECT {{workspace:String}}, {{group_key:String}}, untuple({{state:Tuple(UInt64, UInt64, UInt64)}}), days.*,
        sums.* EXCEPT day
    FROM (SELECT arrayJoin({{days:Array(Date)}}) AS day) AS days LEFT JOIN (
        SELECT day, {", ".join(f"groupArray({name})" for name in _SUMS)},
            {", ".join(f"arrayFlatten(groupArray(others.{name}))" for name in _OTHERS)}
        FROM ({_day_groups(value)}) GROUP BY day
    ) AS sums USING (day)
    """


def _day_groups(value: str) -> str:
    return f"""
    SELECT
        day, value, sum(number) AS requests, sum(costs) AS cost_sum, sum(token_sum) AS tokens, sum(token_n) AS tokens_n,
        min(first) AS first_seen, max(last) AS last_seen,
        sumIf(number, is_alone) AS with_feedback, sumIf(toUInt64(feedback), is_alone) AS feedback_count,
        sumIf(value_weights, is_alone) AS value_weight_sum, sumIf(weights, is_alone) AS weight_sum,
        groupArrayIf(trace, feedback > 0 AND NOT is_alone) AS `others.trace`,
        arrayWithConstant(length(`others.trace`), value) AS `others.value`,
        groupArrayIf(number, feedback > 0 AND NOT is_alone) AS `others.requests`
    FROM (
        SELECT asked.*, t.feedback AS feedback, t.value_weights AS value_weights, t.weights AS weights,
            feedback > 0 AND t.first_day = day AND t.last_day = day AS is_alone
        FROM (
            SELECT toDate(started_at) AS day, {value} AS value, {trace_number("r")} AS trace, count() AS number,
                {COST_SUM} AS costs, sum(toUInt128(ifNull(r.total_tokens, 0))) AS token_sum,
                count(r.total_tokens) AS token_n, min(started_at) AS first, max(started_at) AS last
            FROM feedback.request_log_rows AS r FINAL
            WHERE workspace = {{workspace:String}} AND day IN {{days:Array(Date)}}
                AND started_at >= {{first:Date}} AND started_at < {{end:Date}}
            GROUP BY day, value, trace
        ) AS asked
        LEFT JOIN (
            SELECT {trace_number()} AS trace, feedback_count AS feedback, value_weight_sum AS value_weights,
                weight_sum AS weights, first_request_day AS first_day, last_request_day AS last_day
            FROM feedback.trace_aggregates
            WHERE workspace = {{workspace:String}} AND feedback_count > 0
                AND (first_day = toDate(0) OR first_day < {{end:Date}} AND last_day >= {{first:Date}})
        ) AS t ON t.trace = asked.trace
    )
    GROUP BY day, value
    """
