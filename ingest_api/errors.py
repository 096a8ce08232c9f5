"""The errors of the edge beyond a faulty field, and how they name a field or an item of a bulk call."""

from collections.abc import Sequence

from runtime.http_errors import ApiError, retry_after

OUTCOME_UNKNOWN = "outcome_unknown"
"""Reason of an error after which events of the call may be in Kafka: a blind retry could store them twice."""

_MOST_NAME_CHARS = 100


def kafka_unavailable(why: str) -> ApiError:
    """A 503: Kafka cannot take events now, and has none of this call."""
    message = f"nothing was stored: {why}; try again later"
    return ApiError(message, status=503, headers=retry_after(), reason="kafka_unavailable")


def outcome_unknown(why: str) -> ApiError:
    """A 503: Kafka has not acknowledged events of this call, but may have stored them."""
    message = f"it is not known whether all was stored: {why}"
    return ApiError(message, status=503, headers=retry_after(), reason=OUTCOME_UNKNOWN)


def in_item(error: ApiError, index: int) -> ApiError:
    """The same error, of one item of a bulk call."""
    inside = "" if error.param is None else f".{error.param}"
    return ApiError(f"item {index}: {error.message}", f"[{index}]{inside}", error.status)


def field_path(parts: Sequence[str | int]) -> str:
    """A field's place as clients write it, `metadata.tags[2].name`; long names are cut."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            name = part if len(part) <= _MOST_NAME_CHARS else f"{part[: _MOST_NAME_CHARS - 1]}…"
            path += f".{name}" if path else name
    return path
