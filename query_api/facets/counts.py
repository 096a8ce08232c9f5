"""How often each value of some fields occurs, in one query: the most frequent values, and how many there are.

Pure. Fields that have one value in a row are counted in one pass over the rows (GROUPING SETS), which reads the columns
of these fields and of the filters alone; a field with a list of values takes a pass of its own.
"""

from collections.abc import Sequence
from typing import Any

from query_api.facets.fields import Asked, FacetField
from query_api.filters.conditions import Conditions

TOTAL = -1
"""The `field` of the row whose `missing` is the number of all rows."""


def facet_query(
    table: str, at: str, conditions: Conditions, fields: Sequence[FacetField], asked: Asked
) -> tuple[str, dict[str, Any]]:
    """Rows (field, missing, different, most_frequent), `field` being a number in `fields`, and parameters.

    `conditions` are on a row called `r`, `at` is its column of the time.
    """
    rows = f"FROM {table} AS r WHERE {conditions.text}"
    if asked.newest:
        # Looked up before, so that of older rows nothing is read but their times and what filters ask for.
        times = f"SELECT r.{at} AS at {rows} ORDER BY at DESC LIMIT {{newest:UInt32}}"
        rows += f" AND r.{at} >= (SELECT min(at) FROM ({times}))"
    numbered = list(enumerate(fields))
    counts = [
        _of_single([(number, field.sql) for number, field in numbered if not field.is_list], rows),
        *(_of_list(number, field.sql, rows) for number, field in numbered if field.is_list),
    ]
    parameters = dict(conditions.parameters) | ({"newest": asked.newest} if asked.newest else {})
    for field in fields:
        parameters |= field.parameters
    listed = "facet_value != ''"
    if asked.contains:
        listed += " AND positionCaseInsensitiveUTF8(facet_value, {contains:String}) > 0"
        parameters["contains"] = asked.contains
    query = f"""
        SELECT field, sumIf(number, facet_value = '') AS missing, countIf({listed}) AS different,
            groupArraySortedIf({asked.limit})((-toInt64(number), facet_value), {listed}) AS most_frequent
        FROM ({" UNION ALL ".join(counts)}) GROUP BY field
    """
    return query, parameters


def _of_single(fields: Sequence[tuple[int, str]], rows: str) -> str:
    if not fields:
        return f"SELECT {TOTAL} AS field, '' AS facet_value, count() AS number {rows}"
    columns = ", ".join(f"{sql} AS field_{number}" for number, sql in fields)
    sets = ", ".join(f"(field_{number})" for number, _ in fields)
    which = ", ".join(f"grouping(field_{number}) = 0, {number}" for number, _ in fields)
    value = ", ".join(f"grouping(field_{number}) = 0, field_{number}::String" for number, _ in fields)
    return f"""
        SELECT multiIf({which}, {TOTAL}) AS field, multiIf({value}, '') AS facet_value, count() AS number
        FROM (SELECT {columns} {rows}) GROUP BY GROUPING SETS ({sets}, ())
    """


def _of_list(number: int, sql: str, rows: str) -> str:
    return f"""
        SELECT {number} AS field, arrayJoin(if(empty({sql}), [''], {sql}))::String AS facet_value, count() AS number
        {rows} GROUP BY facet_value
    """
