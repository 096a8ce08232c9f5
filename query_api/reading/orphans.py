"""When feedback that waits for its request is called orphaned: its row says `pending` for ever.

ClickHouse is asked only where something waits, since to plan this takes it longer than to answer.
"""

from datetime import datetime
from typing import Any

from query_api.clickhouse import Reader
from query_api.filters.feedback_conditions import ORPHANED_BEFORE


async def orphaned_before(reader: Reader) -> datetime:
    """When what waits and is called orphaned was created: before this. Raises what the client raises."""
    (policy,) = await reader.rows(f"SELECT {ORPHANED_BEFORE} AS before")
    before: datetime = policy["before"]
    return before


async def named_by_age(reader: Reader, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of feedback, what has waited for too long called orphaned. Raises what the client raises."""
    if all(row["join_state"] != "pending" for row in rows):
        return rows
    before = await orphaned_before(reader)
    return [row | {"join_state": "orphaned"} if _waits(row) and row["created_at"] < before else row for row in rows]


def _waits(row: dict[str, Any]) -> bool:
    return bool(row["join_state"] == "pending")
