"""The filters of feedback that a caller may use: a filter tells something of what it looks at, shown or not."""

from dataclasses import replace

from query_api.auth import Caller, require_scope
from query_api.filters.conditions import hidden_of_requests
from query_api.filters.feedback_parameters import FeedbackFilters


def readable_filters(filters: FeedbackFilters, caller: Caller) -> FeedbackFilters:
    """The same filters, but without logs.read keys of metadata are those of the feedback alone.

    ApiError 403 where a filter asks what only requests say: their status, cost, tokens, time, spans or ids.
    """
    if hidden := hidden_of_requests(filters.shared):
        require_scope(caller, "logs.read", f"filters by {hidden[0]}")
    has_logs = "logs.read" in caller.scopes
    return filters if has_logs else replace(filters, shared=replace(filters.shared, own_metadata_alone=True))
