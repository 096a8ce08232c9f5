"""Feedback by what is said in one field: a page of groups, from rollups where they know the field, else from rows."""

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import QueryParams

from query_api.analytics.group_pages import group_page
from query_api.analytics.parameters import all_of, page_of_groups, plan_asked
from query_api.analytics.plan import DIMENSION_OF, rows_alone
from query_api.analytics.sources import LACKS, GroupedBy, Number, grouped_query, lacks_models
from query_api.clickhouse import Reader
from query_api.filters.parameters import LogFilters

LAST_SEEN = {"last_seen": Number("max(f.created_at)", "max(r.last_seen)", "max")}


def by_special(key: str) -> GroupedBy:
    """By a special field in force."""
    return GroupedBy(f"[f.{key}::String]", DIMENSION_OF[key])


async def groups_of_feedback(
    reader: Reader,
    query: QueryParams,
    filters: LogFilters,
    by: GroupedBy,
    numbers: Mapping[str, Number],
    order: str,
) -> tuple[int, list[dict[str, Any]]]:
    """How many groups there are, and those of the page asked for: `group_value` and the numbers of each."""
    when, page = all_of(filters), page_of_groups(query)
    planned = plan_asked(query, filters, when, by.dimension) if by.dimension else rows_alone(when)
    if await lacks_models(reader, filters, planned):
        planned = rows_alone(when)
    for chosen in (planned, rows_alone(when)):
        text, parameters = grouped_query(filters, when, chosen, {**numbers, **LACKS}, by)
        groups = f"SELECT * EXCEPT lacks, max(lacks) OVER () AS lacks FROM ({text})"
        total, rows = await group_page(reader, groups, parameters, order, page)
        if not any(row.pop("lacks") for row in rows):
            break
    return total, rows
