"""The strict parser of feedback calls: it reads a body by all rules, and words every refusal. Pure.

Promises that a call is wholly valid, or refused with the field at fault. The types in `models` define what is valid;
`fast_parser` only reads the most frequent form of it faster.
"""

from ingest_api.settings import BodyLimits
from ingest_api.validation.fast_parser import read_plain
from ingest_api.validation.feedback_item import FeedbackItem, feedback_of
from ingest_api.validation.fields import for_each_item, items_of, metadata_object, validate_metadata_size, validated
from ingest_api.validation.json_limits import parse
from ingest_api.validation.models import FEEDBACK, FEEDBACK_RULES, FeedbackIn


def read_feedback(body: bytes, fallback: str | None, limits: BodyLimits) -> list[FeedbackItem]:
    """The feedback of a POST, in order; ApiError for the first fault.

    `fallback` is the trace id of an item that has none.
    """
    return read_plain(body, fallback, limits) or read_by_rules(body, fallback, limits)


def read_by_rules(body: bytes, fallback: str | None, limits: BodyLimits) -> list[FeedbackItem]:
    """The same, without the fast parser."""
    items, bulk = items_of(parse(body), limits)
    read: list[FeedbackItem] = []

    def decide(_: int, item: FeedbackIn) -> None:
        trace_id = item.get("trace_id") or fallback
        metadata = metadata_object(item.get("metadata"))
        validate_metadata_size(metadata, limits)
        read.append(feedback_of(trace_id, item["value"], item.get("weight"), metadata, limits))

    for_each_item(
        validated(FEEDBACK, items, bulk, FEEDBACK_RULES, "feedback must be an object with trace_id and value"),
        bulk,
        decide,
    )
    return read
