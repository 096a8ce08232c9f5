"""One page of groups and how many groups there are, with one look at the rows."""

from collections.abc import Mapping
from typing import Any

from query_api.analytics.parameters import Page
from query_api.clickhouse import Reader


async def group_page(
    reader: Reader, groups: str, parameters: Mapping[str, Any], order: str, page: Page
) -> tuple[int, list[dict[str, Any]]]:
    """The number of all groups, and those of the page. Raises what the client raises.

    `groups` is a query with a row for each group; `order` sorts its rows and leaves no two alike.
    """
    ordered = f"SELECT *, count() OVER () AS group_total FROM ({groups}) ORDER BY {order}"
    rows = await reader.rows(f"{ordered} LIMIT {page.size} OFFSET {page.skipped}", parameters)
    totals = [row.pop("group_total") for row in rows]
    if totals or not page.skipped:
        return (totals[0] if totals else 0), rows
    # Beyond the last page nothing is left to tell it.
    (counted,) = await reader.rows(f"SELECT count() AS total FROM ({groups})", parameters)
    return counted["total"], []
