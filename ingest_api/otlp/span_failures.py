"""The HTTP status and the error of a call, as its span tells them. Pure.

A span says that a call has failed, and what kind of error it was, but often not with which HTTP status.
"""

import re
from collections.abc import Iterable
from typing import Any

from ingest_api.otlp.attribute_names import take_status
from ingest_api.otlp.telemetry_data import Attributes, FinishedSpan, TimedEvent
from ingest_api.validation.text_redaction import text_without_secrets
from runtime.harmless_names import HarmlessNames

_ERROR_TYPE = "error.type"
UNKNOWN_FAILURE = 500
"""The status of a failed call whose span names no other."""
_STATUS_OF = {
    "badrequesterror": 400,
    "authenticationerror": 401,
    "permissiondeniederror": 403,
    "notfounderror": 404,
    "apitimeouterror": 408,
    "timeout": 408,
    "timeouterror": 408,
    "conflicterror": 409,
    "unprocessableentityerror": 422,
    "ratelimiterror": 429,
    "overloadederror": 529,
}
"""By the names that the SDKs of OpenAI and Anthropic have for errors, in lower case."""
_STATUS = re.compile("[1-5][0-9]{2}")


def status_of(span: FinishedSpan, attributes: Attributes) -> int:
    """The HTTP status of the call, taken out of the attributes: what they say, or else what the kind of error means."""
    status = take_status(attributes)
    if status is not None:
        return status
    kind = attributes.get(_ERROR_TYPE)
    if kind is None and not span.failed:
        return 200
    text = str(kind or _raised(span.events).get("exception.type") or "")
    return int(text) if _STATUS.fullmatch(text) else _STATUS_OF.get(text.rpartition(".")[2].lower(), UNKNOWN_FAILURE)


def error_body(span: FinishedSpan, attributes: Attributes, harmless: HarmlessNames) -> dict[str, Any] | None:
    """What failed, in the form of an error of OpenAI; None where the span has not failed."""
    raised = _raised(span.events)
    kind = attributes.get(_ERROR_TYPE) or raised.get("exception.type")
    message = span.status_message or raised.get("exception.message")
    if not span.failed and kind is None:
        return None
    error = {"type": kind, "message": message}
    return {
        "error": {
            name: text_without_secrets(value, harmless) if isinstance(value, str) else value
            for name, value in error.items()
            if value
        }
    }


def _raised(events: Iterable[TimedEvent]) -> Attributes:
    """The attributes of the last exception among the events of a span."""
    return next((each.attributes for each in reversed([*events]) if each.name == "exception"), {})
