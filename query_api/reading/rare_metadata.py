"""Which traces a text under a key of metadata is about, where they are few: found by indexes, however much there is.

Feedback and requests that say the text name their traces by their ids. So the feedback on these traces is found by its
keys, and not by a look at all metadata. Requests that do not count may name traces too many, never too few.
"""

from uuid import UUID

from query_api.clickhouse import Reader
from query_api.filters.conditions import Conditions, add_times
from query_api.filters.metadata_conditions import metadata_asked, says
from query_api.filters.parameters import SPECIALS, LogFilters
from schemas.ids import trace_hash_of

MOST = 300
"""Requests, and as many feedbacks: to look more traces up takes longer than to read all metadata."""


async def traces_that_say(reader: Reader, filters: LogFilters) -> list[int] | None:
    """Hashes of all traces with feedback of which the metadata asked for may hold; None: they are many. Raises what the
    client raises."""
    for number, key in enumerate(filters.metadata):
        if key in SPECIALS:
            continue
        says_it = Conditions(["workspace = {workspace:String}"], {"workspace": filters.workspace})
        says_it.add(says(filters, number, key, ""), **metadata_asked(filters, number, key))
        requests = await _few(reader, "request_id AS id FROM feedback.request_log_rows", says_it)
        if requests is None:
            continue
        add_times(says_it, filters, "created_at")
        feedback = await _few(reader, "feedback_id AS id FROM feedback.feedback_rows FINAL", says_it)
        if feedback is not None:
            return sorted(set(map(trace_hash_of, requests + feedback)))
    return None


async def _few(reader: Reader, ids: str, chosen: Conditions) -> list[UUID] | None:
    """All ids of which the conditions hold; None: they are many."""
    rows = await reader.rows(f"SELECT {ids} WHERE {chosen.text} LIMIT {MOST + 1}", chosen.parameters)
    return [row["id"] for row in rows] if len(rows) <= MOST else None
