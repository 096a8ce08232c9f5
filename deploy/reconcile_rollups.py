"""The copy by hour compared with the rows, and hours and days with what they are made of, a stretch of time at once."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import groupby

import clickhouse_connect
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.client import Client

from deploy.differences import Difference, Pause, Scope, lasting
from schemas.addresses import dsn
from stream_workers.rollup_statements import HOUR_COLUMNS, KEY, NUMBERS, copied, of_days, of_hours, standing
from stream_workers.rollups import Hour, compute, touch_after_removal

_ROWS_AT_ONCE = 2_000_000
_CONTENT = (
    "cityHash64(feedback_id, version, value, weight, join_state, model::String, model_number, model_count,"
    " _user, _organisation, _prompt, _environment::String)"
)
_ROWS = "SELECT workspace, toStartOfHour(created_at) AS at FROM feedback.feedback_rows"
_COPIES = "SELECT workspace, hour AS at FROM feedback.feedback_hour_rows"
_HOURS = "SELECT workspace, toStartOfDay(start) AS at FROM feedback.rollup_rows WHERE period = 'hour'"


def hour_rows(client: Client, url: str, scope: Scope, pause: Pause, *, repair: bool) -> Difference:
    """Hours in which the copy differs from the rows; with `repair`, copied anew, and their rollups computed anew."""
    found = Difference("hours whose feedback_hour_rows are not as feedback_rows")
    for part in _stretches(client, scope, f"{_ROWS} UNION ALL {_COPIES}"):
        differing = lasting(partial(_copied_wrong, client, part), pause)
        found.add(list(differing))
        if repair and differing:
            _copy_anew(client, differing.values())
            _in_engine(url, partial(_touch, hours=list(differing.values())))
    return found


def rollups(client: Client, url: str, scope: Scope, pause: Pause, *, repair: bool) -> Iterator[Difference]:
    """Hours, then days, whose rollups differ from what they are made of; with `repair`, computed anew."""
    for period, name, of, made_of in (("hour", "rows", _of_hours, _COPIES), ("day", "hours", _of_days, _HOURS)):
        found = Difference(f"rollups of {period}s that are not what their {name} come to")
        made = f"SELECT workspace, start AS at FROM feedback.rollup_rows WHERE period = '{period}'"
        for part in _stretches(client, scope, f"{made_of} UNION ALL {made}"):
            look = partial(_computed_wrong, client, part, period, of(part))
            differing = lasting(look, pause)
            found.add(list(differing))
            if repair and differing:
                _in_engine(url, partial(_compute, hours=list(differing.values())))
                if still := look():
                    # Wrong numbers under the right version: only a new epoch outdoes them.
                    _in_engine(url, partial(_touch, hours=[hour for _, hour in still.values()]))
        yield found


def _stretches(client: Client, scope: Scope, rows: str) -> Iterator[Scope]:
    """The scope in stretches of time, each of so many rows as are held in memory at once, or of one bucket."""
    counts: Iterable[Sequence[int]] = client.query(
        f"SELECT toUnixTimestamp(at) AS start, count() FROM ({rows}) WHERE {scope.condition('at')}"
        " GROUP BY start ORDER BY start",
        scope.parameters,
    ).result_rows
    total = 0

    def number(counted: Sequence[int]) -> int:
        nonlocal total
        total += counted[1]
        return total // _ROWS_AT_ONCE

    for _, group in groupby(counts, number):
        starts = [start for start, *_ in group]
        yield Scope(scope.workspace, starts[0], starts[-1] + 1)


_Marked = dict[str, tuple[Hashable, Hour]]


def _copied_wrong(client: Client, part: Scope) -> _Marked:
    """Hours whose copies are not as the rows, marked by what the rows say."""
    # `until` lies within the last hour, whose rows are all meant.
    until_end = Scope(part.workspace, part.since, part.until + 3599)
    rows = copied("feedback.feedback_rows FINAL", until_end.condition("created_at"))
    content = f"SELECT workspace, hour, {_CONTENT} AS content"
    both = f"""
        {content}, 1 AS is_row FROM ({rows})
        UNION ALL {content}, 0 FROM ({standing(part.condition("hour"))}) WHERE stands"""
    return _hours(
        client,
        part,
        "SELECT workspace, toUnixTimestamp(hour), sumIf(content, is_row = 1)"
        f" FROM ({both}) GROUP BY workspace, hour"
        " HAVING sumIf(content, is_row = 1) != sumIf(content, is_row = 0)"
        " OR countIf(is_row = 1) != countIf(is_row = 0)",
    )


def _computed_wrong(client: Client, part: Scope, period: str, computed: str) -> _Marked:
    """Buckets whose groups are not as computed, marked by which of either stand alone."""
    stored = (
        f"SELECT workspace, start, dimension::String, environment::String, key, {NUMBERS}, -1 FROM feedback.rollups"
        f" WHERE period = '{period}' AND {part.condition('start')}"
    )
    return _hours(
        client,
        part,
        f"SELECT workspace, toUnixTimestamp(start), sum(cityHash64({KEY}, {NUMBERS}, number)) FROM ("
        f"SELECT workspace, start, {KEY}, {NUMBERS}, sum(side) AS number FROM ("
        f"SELECT workspace, start, {KEY}, {NUMBERS}, 1 AS side FROM ({computed}) WHERE feedback_count > 0"
        f" UNION ALL {stored}) GROUP BY workspace, start, {KEY}, {NUMBERS} HAVING number != 0)"
        " GROUP BY workspace, start",
    )


def _of_hours(part: Scope) -> str:
    return f"SELECT workspace, hour AS start, {KEY}, {NUMBERS} FROM ({of_hours(part.condition('hour'))})"


def _of_days(part: Scope) -> str:
    # `until` lies within the last day, whose hours are all meant.
    hours = Scope(part.workspace, part.since, part.until + 86_399)
    return f"SELECT workspace, day AS start, {KEY}, {NUMBERS} FROM ({of_days(hours.condition('start'))})"


def _hours(client: Client, part: Scope, query: str) -> _Marked:
    found: list[tuple[str, int, int]] = sorted(map(tuple, client.query(query, part.parameters).result_rows))
    return {
        f"{workspace}/{datetime.fromtimestamp(start, UTC):%Y-%m-%dT%HZ}": (mark, Hour(workspace, start))
        for workspace, start, mark in found
    }


def _copy_anew(client: Client, hours: Iterable[Hour]) -> None:
    for workspace, starts in _by_workspace(hours).items():
        parameters = {"workspace": workspace, "starts": starts}
        client.command(
            "ALTER TABLE feedback.feedback_hour_rows DELETE WHERE workspace = {workspace:String}"
            " AND toUnixTimestamp(hour) IN {starts:Array(UInt32)}",
            parameters=parameters,
            settings={"mutations_sync": 2},
        )
        # All there is, tombstones too; then, of rows under one version, once more those that stand: the last counts.
        chosen = "workspace = {workspace:String} AND toUnixTimestamp(hour) IN {starts:Array(UInt32)}"
        for rows in ("feedback.feedback_rows", "feedback.feedback_rows FINAL"):
            client.command(
                f"INSERT INTO feedback.feedback_hour_rows ({HOUR_COLUMNS}) {copied(rows, chosen)}",
                parameters=parameters,
                settings={"async_insert": 0, "insert_deduplicate": 0, "max_partitions_per_insert_block": 0},
            )


def _by_workspace(hours: Iterable[Hour]) -> dict[str, list[int]]:
    starts: dict[str, list[int]] = defaultdict(list)
    for hour in hours:
        starts[hour.workspace].append(hour.start)
    return starts


async def _compute(client: AsyncClient, hours: list[Hour]) -> None:
    await compute(client, hours)


async def _touch(client: AsyncClient, hours: list[Hour]) -> None:
    for workspace, starts in _by_workspace(hours).items():
        await touch_after_removal(client, workspace, starts)


def _in_engine(url: str, work: Callable[[AsyncClient], Awaitable[None]]) -> None:
    async def run() -> None:
        client = await clickhouse_connect.get_async_client(**dsn(url), autogenerate_session_id=False)
        try:
            await work(client)
        finally:
            await client.close()

    asyncio.run(run())
