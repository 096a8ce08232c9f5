"""The responses of the publishing endpoints: their types, and how OpenAPI describes them."""

from typing import Any, Literal

from typing_extensions import TypedDict

from ingest_api.http.publish_endpoint import NOT_TO_BE_REPEATED
from runtime.http_errors import error_content


class FeedbackSaved(TypedDict):
    """Kafka has acknowledged every event of the call. Ids come in the order of the items."""

    status: Literal["success"]
    message: str
    feedback_ids: list[str]


class LogsSaved(TypedDict):
    """Kafka has acknowledged every event of the call. Ids and trace ids come in the order of the items."""

    status: Literal["success"]
    message: str
    ids: list[str]
    trace_ids: list[str]


class TokenMade(TypedDict):
    """A vote token. `feedback_ids` has the id of its one vote; it is empty where the token allows many."""

    status: Literal["success"]
    message: str
    token: str
    expires_at: str
    feedback_ids: list[str]


FOREIGN = "There is no API key yet, and a web page of another origin may have sent the call"

RATE_LIMIT_HEADERS = {
    name: {"schema": {"type": "integer"}, "description": f"{about} Only where the key is limited."}
    for name, about in (
        ("RateLimit-Limit", "Events a second, and at most at once."),
        ("RateLimit-Remaining", "Events that are left now."),
        ("RateLimit-Reset", "Seconds until all of them are there again."),
    )
}


def saved(name: str, message: str, **lists: list[str]) -> dict[str, Any]:
    """The response to an accepted call; `name` is the name of its type."""
    answer = described("Kafka has acknowledged it.", name, {"status": "success", "message": message, **lists})
    return answer | {"headers": RATE_LIMIT_HEADERS}


def failures(has_body: bool, not_found: bool, keyed: bool) -> dict[str, Any]:
    """The error responses of an operation, by status."""
    examples: dict[str, tuple[str, str | None, str]] = {
        "401": ("an API key is needed", "x-portkey-api-key", "No valid API key came with the call."),
        "403": (
            "the API key lacks the scope",
            "x-portkey-api-key",
            f"The key lacks the scope of this call. Or: {FOREIGN}.",
        ),
        "408": ("the request did not arrive whole within 30 s", None, "It did not arrive in time."),
        "429": ("this key's limit of 100 events a second is used up: wait 1 s", None, "Too many events."),
        "413": ("the body is larger than the limit: send it in parts", None, "The body is too large."),
        "503": ("nothing was stored: Kafka does not answer; try again later", None, "Kafka is away or slow."),
    }
    examples["400"] = (
        ("value must be an integer from -10 to 10, got 11", "value", "The body, or what a header says, is not valid.")
        if has_body
        else ('Content-Encoding must be left out, got "gzip"', "Content-Encoding", "A header is not valid.")
    )
    if not_found:
        examples["404"] = ("there is no feedback with the id", "feedback_id", "The id was never given here.")
    if keyed:
        examples["409"] = (
            "this Idempotency-Key was used before with another body",
            "Idempotency-Key",
            "The key belongs to another call.",
        )
    by_status = {
        status: described(about, "Failure", error_content(int(status), message, param))
        for status, (message, param, about) in sorted(examples.items())
    }
    retry_after = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}
    by_status["429"]["headers"] = retry_after | RATE_LIMIT_HEADERS
    by_status["503"]["headers"] = retry_after | {
        NOT_TO_BE_REPEATED.decode(): {
            "schema": {"type": "string"},
            "description": "Only when the outcome is not known: part or all may have been stored.",
        },
    }
    return by_status


def described(description: str, name: str, example: dict[str, Any]) -> dict[str, Any]:
    """A response of an OpenAPI operation, as JSON of the type with this name."""
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}, "example": example}},
    }
