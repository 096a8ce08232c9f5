"""What spans and log records have in common: ids of 16 and 8 bytes, and what no event of them may hold. Pure."""

from ingest_api.kafka.publisher import MAX_EVENT_BYTES
from ingest_api.validation.json_limits import escape_count
from runtime.http_errors import ApiError

TRACE_ID_BYTES, SPAN_ID_BYTES = 16, 8


def id_text(given: bytes, size: int, name: str) -> str:
    """An id in hexadecimal digits; ApiError if it has another size, or is nothing but zeros."""
    if len(given) != size or not any(given):
        what = f"{len(given)} bytes" if len(given) != size else "zeros alone"
        raise ApiError(f"{name} must be {size} bytes that are not all zero, got {what}", name)
    return given.hex()


def check_storable(value: bytes) -> None:
    """ApiError if an event holds what cannot be stored, or is too large for Kafka."""
    if escape_count(value, b"u0000"):
        raise ApiError("a text holds a NUL character, which cannot be stored", reason="nul")
    if len(value) > MAX_EVENT_BYTES:
        raise ApiError(
            f"an event has {len(value)} bytes, and Kafka takes at most {MAX_EVENT_BYTES}", reason="too_large"
        )
