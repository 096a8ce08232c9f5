"""Feedback calls read: a body in, valid feedback out.

Pure. Promises that a call is wholly valid or refused with the field that is at fault. The types in `bodies` say what is
valid; `plain_feedback` only knows the most frequent of it by a shorter way.
"""

from ingest_api.settings import Limits
from ingest_api.validation.fast_parser import read_plain
from ingest_api.validation.feedback_item import Feedback, feedback_of
from ingest_api.validation.fields import each, items_of, metadata_json, metadata_object, validated
from ingest_api.validation.json_limits import parse
from ingest_api.validation.models import FEEDBACK, FEEDBACK_RULES, FeedbackIn


def read_feedback(body: bytes, fallback: str | None, limits: Limits) -> list[Feedback]:
    """The feedback of a POST in its order; ApiError for the first fault.

    `fallback` is the trace id of an item that has none.
    """
    return read_plain(body, fallback, limits) or read_by_rules(body, fallback, limits)


def read_by_rules(body: bytes, fallback: str | None, limits: Limits) -> list[Feedback]:
    """The same by way of the types in `bodies` alone."""
    items, bulk = items_of(parse(body), limits)
    read: list[Feedback] = []

    def decide(_: int, item: FeedbackIn) -> None:
        trace_id = item.get("trace_id") or fallback
        metadata = metadata_object(item.get("metadata"))
        metadata_json(metadata, limits)
        read.append(feedback_of(trace_id, item["value"], item.get("weight"), metadata, limits))

    each(
        validated(FEEDBACK, items, bulk, FEEDBACK_RULES, "feedback must be an object with trace_id and value"),
        bulk,
        decide,
    )
    return read
