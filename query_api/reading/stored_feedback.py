"""What ClickHouse holds of one feedback: its create event, its current row, and what ended in the dead letters.

The id carries its trace's hash, by which the journal is sorted, and the create event in the journal has every column of
the row's place: so each look-up is by a table's own key.
"""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from query_api.clickhouse import Reader
from query_api.current_rows import RANK
from query_api.reading.orphans import named_by_age
from runtime.concurrent_calls import answers_of

_CREATE = """
SELECT entry FROM feedback.journal PREWHERE trace_hash = {hash:UInt32} AND kind = 'feedback' AND id = {id:UUID}
WHERE JSONExtractString(entry, 'workspace') = {workspace:String} AND JSONExtractString(entry, 'event') = 'create'
ORDER BY sequence LIMIT 1
"""
_ROW = f"""
SELECT workspace, toString(feedback_id) AS id, trace_id, value, toFloat64(weight) AS weight, metadata,
    join_state, models, providers, _user, _organisation, _prompt, _environment,
    created_at, updated_at, is_deleted
FROM feedback.feedback_rows
WHERE feedback_id = {{id:UUID}} AND workspace = {{workspace:String}}
    AND created_at BETWEEN parseDateTime64BestEffort({{created_at:String}}, 3, 'UTC') - INTERVAL 1 MILLISECOND
        AND parseDateTime64BestEffort({{created_at:String}}, 3, 'UTC') + INTERVAL 1 MILLISECOND
    AND home_environment = {{environment:String}} AND home_organisation = {{organisation:String}}
    AND home_prompt = {{prompt:String}} AND home_user = {{user:String}}
ORDER BY {RANK} DESC LIMIT 1
"""
_DEAD = """
SELECT reason, detail, recorded_at, JSONExtractString(value, 'event') AS event FROM feedback.dead_letters FINAL
WHERE feedback_id = {id:String} AND JSONExtractString(value, 'workspace') = {workspace:String}
ORDER BY kafka_partition, sequence
"""


@dataclass(frozen=True)
class Stored:
    """All that is stored of one feedback. `row` is None until its create event has been joined."""

    create: dict[str, Any] | None = None
    row: dict[str, Any] | None = None
    dead: list[dict[str, Any]] = field(default_factory=list)


async def read_stored(reader: Reader, workspace: str, feedback_id: str, trace_hash: int) -> Stored:
    """Read it. Raises what the client raises."""
    asked = {"hash": trace_hash, "id": feedback_id, "workspace": workspace}
    creates, dead = await answers_of(
        reader.rows(_CREATE, asked), reader.rows(_DEAD, {"id": feedback_id, "workspace": workspace})
    )
    create = next((msgspec.json.decode(found["entry"]) for found in creates), None)
    row = None if create is None else await _row(reader, create)
    if row is not None and row["join_state"] == "expired":  # removed with its trace: nothing is known of it any more
        return Stored(dead=dead)
    return Stored(create, row, dead)


async def _row(reader: Reader, create: dict[str, Any]) -> dict[str, Any] | None:
    place = {
        "id": create["feedback_id"],
        "workspace": create["workspace"],
        "created_at": create["created_at"],
        "environment": create.get("home_environment", "other"),
        **{name: create.get(f"_{name}") or "" for name in ("organisation", "prompt", "user")},
    }
    return next(iter(await named_by_age(reader, await reader.rows(_ROW, place))), None)
