"""Numbers of feedback by bucket, and by one of its fields where asked, from rows and rollups as a plan says: one query.

Every number has an aggregate for each source, of rows `f` and of rollups `r`, in such a type that the results of both
can be added. So they are the same wherever they come from.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from query_api.analytics.plan import Dimension, Piece, Plan, rows_alone
from query_api.analytics.time_buckets import Timeline
from query_api.clickhouse import Reader
from query_api.filters.conditions import Conditions, conditions_on_feedback, milliseconds
from query_api.filters.parameters import LogFilters
from runtime.concurrent_calls import answers_of


class Number(NamedTuple):
    """A number of a group of feedback: its aggregate of rows, of rollups, and of the results of both."""

    of_rows: str
    of_rollups: str
    of_both: str = "sum"


@dataclass(frozen=True)
class GroupedBy:
    """What feedback is grouped by. It is in the group of each value that it has, and without one in that of ""."""

    values: str
    """SQL for the list of values of a row `f`."""
    dimension: Dimension | None = None
    """Where rollups have it; None: nowhere."""
    filter: str = ""
    """The parameter by which only groups of its values are asked for."""
    join: str = ""
    """What the values need beside `f`; {asked} is the condition on it."""
    parameters: Mapping[str, Any] = field(default_factory=dict)


LACKS = {"lacks": Number("false", "max(r.last_seen = toDateTime64(0, 3, 'UTC'))", "max")}
"""Whether the rollups that were read are of a time when they had no squares, and are not computed anew yet."""
_PROMPT, _MODEL = "JSONExtractString(r.key, 1)", "JSONExtractString(r.key, 2)"
"""What the key of a rollup of prompts by model says."""
_SUM = "bitAnd(r.version, bitShiftLeft(toUInt128(1), 104) - 1)"
"""Of the versions of all rows that were read for a rollup: what is above is its epoch."""
_COUNTS = """
r.start >= (SELECT rollups_since FROM feedback.policy)
    AND (r.workspace, r.period, r.start, toUInt32(bitShiftRight(r.version, 104))) NOT IN (
        SELECT workspace, period, start, epoch FROM feedback.rollup_void_epochs
    )
"""
"""Whether a rollup is one of those that the view shows, or is of a group that has become empty."""
_CREATED, _START = "fromUnixTimestamp64Milli({%s:Int64})", "toDateTime({%s:UInt32}, 'UTC')"


async def by_bucket(
    reader: Reader,
    filters: LogFilters,
    when: Timeline,
    chosen: Plan,
    numbers: Mapping[str, Number],
    by: GroupedBy | None = None,
) -> tuple[list[tuple[datetime, dict[str, Any]]], Plan]:
    """The rows of `grouped_query`, each after the start of its bucket, and the plan by which they were read: from rows
    alone where rollups lack something. Raises what the client raises."""
    rows, lacks = await answers_of(
        reader.rows(*grouped_query(filters, when, chosen, numbers, by)), lacks_models(reader, filters, chosen)
    )
    if lacks or any(row.get("lacks") for row in rows):
        return await by_bucket(reader, filters, when, rows_alone(when), numbers, by)
    start_of = dict(zip(map(milliseconds, when.cuts), when.starts, strict=True))
    return [(start_of[row["cut"]], row) for row in rows], chosen


async def lacks_models(reader: Reader, filters: LogFilters, chosen: Plan) -> bool:
    """Whether a plan needs rollups by prompt and model that are not there yet: those of before have none until they are
    computed anew. Raises what the client raises.

    The same rows are read for a prompt and for its models, so the sums in their versions are equal.
    """
    if chosen.dimension != "prompt_model":
        return False
    parameters: dict[str, Any] = {}
    asked = _asked_of_rollups(parameters, filters, replace(chosen, models=()))
    of_prompts = _asked_of_rollups(parameters, filters, replace(chosen, dimension="prompt", models=()))
    found = await reader.rows(
        f"""
        SELECT sumIf({_SUM}, r.dimension = 'prompt') != sumIf({_SUM}, r.dimension = 'prompt_model') AS lacks
        FROM feedback.rollup_rows AS r FINAL WHERE (({asked}) OR ({of_prompts})) AND {_COUNTS}
        """,
        parameters,
    )
    return any(each["lacks"] for each in found)


def grouped_query(
    filters: LogFilters, when: Timeline, chosen: Plan, numbers: Mapping[str, Number], by: GroupedBy | None = None
) -> tuple[str, dict[str, Any]]:
    """A query and its parameters: a row for each group that has feedback, with `cut`, the first instant of its bucket
    that was asked for, `group_value` and the numbers by their names."""
    parameters: dict[str, Any] = {"cuts": [milliseconds(cut) for cut in when.cuts]}
    of_rows = [piece for piece in chosen.pieces if piece.source == "rows"]
    selects = [_of_rows(parameters, filters, of_rows, numbers, by)] if of_rows else []
    if len(of_rows) < len(chosen.pieces):
        selects.append(_of_rollups(parameters, filters, chosen, numbers, by))
    together = ", ".join(f"{number.of_both}({name}) AS {name}" for name, number in numbers.items())
    text = (
        f"SELECT cut, group_value, {together} FROM ({' UNION ALL '.join(selects)}) AS parts GROUP BY cut, group_value"
    )
    return text, parameters


def _of_rows(
    parameters: dict[str, Any],
    filters: LogFilters,
    pieces: list[Piece],
    numbers: Mapping[str, Number],
    by: GroupedBy | None,
) -> str:
    """Of feedback that is stored, by its own time."""
    asked = conditions_on_feedback(filters, "f")
    asked.parts.append(" OR ".join(f"({time})" for time in _within(parameters, pieces, "f.created_at", _CREATED, 1)))
    parameters |= asked.parameters
    columns = "f.created_at AS created_at, f.value AS value, f.weight AS weight"
    rows, chosen = f"SELECT {columns}, '' AS group_value FROM feedback.feedback AS f WHERE {asked.text}", ""
    if by:
        parameters |= by.parameters
        chosen = _chosen(parameters, filters, by)
        rows = f"""
        SELECT created_at, value, weight, arrayJoin(if(empty(list), [''], list))::String AS group_value FROM (
            SELECT {columns}, {by.values} AS list FROM feedback.feedback AS f
            {by.join.format(asked=asked.text)} WHERE {asked.text}
        )
        """
    return f"""
    SELECT {_cut(parameters, "toUnixTimestamp64Milli(f.created_at)")} AS cut, group_value,
        {", ".join(f"{number.of_rows} AS {name}" for name, number in numbers.items())}
    FROM ({rows}) AS f {chosen} GROUP BY cut, group_value
    """


def _of_rollups(
    parameters: dict[str, Any],
    filters: LogFilters,
    chosen: Plan,
    numbers: Mapping[str, Number],
    by: GroupedBy | None,
) -> str:
    """Of whole hours and days, at one look."""
    asked = _asked_of_rollups(parameters, filters, chosen)
    key = _PROMPT if chosen.dimension == "prompt_model" else "r.key"
    group = "''"
    if by:
        is_of_models = by.dimension == "model" and chosen.dimension == "prompt_model"
        group = "r.environment::String" if by.dimension == "environment" else _MODEL if is_of_models else key
    return f"""
    SELECT {_cut(parameters, "toInt64(toUnixTimestamp(r.start)) * 1000")} AS cut, {group} AS group_value,
        {", ".join(f"{number.of_rollups} AS {name}" for name, number in numbers.items())}
    FROM feedback.rollups AS r WHERE {asked} GROUP BY cut, group_value
    """


def _asked_of_rollups(parameters: dict[str, Any], filters: LogFilters, chosen: Plan) -> str:
    """What is asked of a rollup `r`. Adds its parameters."""
    pieces = [piece for piece in chosen.pieces if piece.source != "rows"]
    asked = Conditions(
        ["r.workspace = {workspace:String}", f"r.dimension = '{chosen.dimension}'"], {"workspace": filters.workspace}
    )
    times = zip(pieces, _within(parameters, pieces, "r.start", _START, 1000), strict=True)
    asked.parts.append(" OR ".join(f"(r.period = '{piece.source}' AND {time})" for piece, time in times))
    # Their key is empty, and known to be: three quarters of the partitions need not be looked at.
    keys = (("",),) if chosen.dimension == "all" else chosen.keys
    key = _PROMPT if chosen.dimension == "prompt_model" else "r.key"
    for column, lists in (("r.environment", chosen.environments), (key, keys), (_MODEL, chosen.models)):
        for values in lists:
            name = f"rollup_{len(asked.parameters)}"
            asked.add(f"{column} IN {{{name}:Array(String)}}", **{name: list(values)})
    parameters |= asked.parameters
    return asked.text


def _cut(parameters: Mapping[str, Any], milliseconds_since_1970: str) -> str:
    """The bucket of a row. To look each row up in a list of one bucket would take longer than to add it up."""
    if len(parameters["cuts"]) == 1:
        return "{cuts:Array(Int64)}[1]"
    return f"roundDown({milliseconds_since_1970}, {{cuts:Array(Int64)}})"


def _chosen(parameters: dict[str, Any], filters: LogFilters, by: GroupedBy) -> str:
    if by.filter not in filters.texts:
        return ""
    parameters[by.filter] = list(filters.texts[by.filter])
    return f"WHERE group_value IN {{{by.filter}:Array(String)}}"


def _within(parameters: dict[str, Any], pieces: list[Piece], column: str, instant: str, unit_ms: int) -> Iterator[str]:
    """For each of the pieces, that a time is inside."""
    for number, piece in enumerate(pieces):
        since, until = (f"{end}_{piece.source}_{number}" for end in ("since", "until"))
        parameters |= {since: milliseconds(piece.since) // unit_ms, until: milliseconds(piece.until) // unit_ms}
        yield f"{column} >= {instant % since} AND {column} < {instant % until}"
