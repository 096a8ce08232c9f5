"""Times as text and back: RFC 3339, and Unix milliseconds. Pure."""

from datetime import UTC, datetime
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=16_384)
def rfc3339(unix_ms: int) -> str:
    """Unix milliseconds as `2026-01-31T12:00:00.123Z`."""
    seconds, milliseconds = divmod(unix_ms, 1000)
    return f"{_to_the_second(seconds)}.{milliseconds:03}Z"


def rfc3339_of(at: datetime) -> str:
    """A time with a zone as `2026-01-31T12:00:00.123Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_the_minute(at: datetime) -> str:
    """A time with a zone as messages have it: `2026-01-31T12:00Z`."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def parse_time(text: str) -> datetime:
    """The time that a text in ISO 8601 gives, in its own zone, or in UTC where it names none. ValueError for others."""
    at = datetime.fromisoformat(text.upper())
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def unix_ms(at: datetime) -> int:
    """A time with a zone as Unix milliseconds, rounded down."""
    # Not timestamp(): a float would lose the last millisecond now and then.
    since = at - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


@lru_cache(maxsize=64)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
