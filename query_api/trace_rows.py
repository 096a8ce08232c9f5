"""Where the rows of a trace are: SQL that finds them by their tables' own keys, however many months there are.

The journal is in the order of trace hashes and holds every event that a row was made of, with the time by which rows
are stored. So whoever looks for the rows of some traces asks the journal for their times and ids first. What it names
may be more than is asked for (another trace may share a hash, a row may be gone), never less: the conditions that name
the traces stay.
"""

from collections.abc import Iterable
from typing import Any

from schemas.ids import trace_key
from schemas.murmur2 import murmur2

# Always in PREWHERE, so that JSON is read of these entries alone and not of all in their granules.
_OF_TRACES = "trace_hash IN {trace_hashes:Array(UInt32)}"
# A time in an event may have parts of a millisecond, which rows have not.
_CREATED = "toUnixTimestamp64Milli(parseDateTime64BestEffort(JSONExtractString(entry, 'created_at'), 3, 'UTC'))"

# The one that `schemas.events` gives an event without.
_ENVIRONMENT = "if(JSONHas(entry, 'home_environment'), JSONExtractString(entry, 'home_environment'), 'other')"


def trace_number(alias: str = "") -> str:
    """A trace as a number of 128 bits, which no two traces share. A table of numbers takes half as long to build and to
    look into as one of texts."""
    return f"reinterpretAsUInt128(sipHash128({_at(alias)}trace_id))"


def feedback_of_traces(alias: str = "") -> str:
    """That a row of feedback.feedback_rows is where feedback on the traces of `trace_hashes` is.

    It names the partition too: of all parts that hold a month, few are looked into.
    """
    at = _at(alias)
    return f"""
    (
        {at}home_environment, sipHash64({at}home_organisation) % 4, {at}created_at, {at}feedback_id
    ) IN (
        SELECT environment, quarter, fromUnixTimestamp64Milli(arrayJoin([ms - 1, ms, ms + 1]), 'UTC'), id FROM (
            SELECT id, {_CREATED} AS ms, {_ENVIRONMENT} AS environment,
                sipHash64(JSONExtractString(entry, '_organisation')) % 4 AS quarter
            FROM feedback.journal
            PREWHERE {_OF_TRACES} AND kind = 'feedback' WHERE JSONExtractString(entry, 'event') = 'create'
        )
    )
    """


def requests_of_traces(alias: str = "") -> str:
    """That a row of feedback.request_log_rows is where a request on the traces of `trace_hashes` is."""
    return _requests(_at(alias), _OF_TRACES)


def requests_beside(feedback: str) -> str:
    """That a row of feedback.request_log_rows is where a request on the trace of a feedback is; `feedback` is a query
    of ids, which carry the hashes of their traces."""
    trace_hash = "reinterpretAsUInt32(reverse(unhex(substring(toString(feedback_id), 25, 8))))"
    return _requests("", f"trace_hash IN (SELECT {trace_hash} FROM ({feedback}))")


def _requests(at: str, of_traces: str) -> str:
    return f"""
    ({at}started_at, {at}request_id) IN (
        SELECT fromUnixTimestamp64Milli(JSONExtractInt(entry, 'started_at'), 'UTC'), id FROM feedback.journal
        PREWHERE {of_traces} AND kind = 'request'
    )
    """


def _at(alias: str) -> str:
    return f"{alias}." if alias else ""


def hashes_of(workspace: str, traces: Iterable[str]) -> dict[str, Any]:
    """The parameter of those that name `trace_hashes`."""
    return {"trace_hashes": [murmur2(trace_key(workspace, trace)) for trace in traces]}
