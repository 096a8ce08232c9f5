"""Parsers of the arguments of `feedback keys`."""

import argparse
import re
from datetime import UTC, datetime, timedelta

from runtime.times import parse_time
from schemas.limits import WORKSPACE_PATTERN

_MOST_YEARS = 100


def now() -> datetime:
    """The present time in milliseconds, as ClickHouse stores it, so that both copies of a key are equal."""
    return _to_the_millisecond(datetime.now(UTC))


def workspace(text: str) -> str:
    """The name of a workspace."""
    if not re.fullmatch(WORKSPACE_PATTERN, text) or text.endswith("\n"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a workspace: expected 1 to 64 letters, digits, _ and -")
    return text


def key_id(text: str) -> str:
    """The id of a key."""
    # The text is not quoted: it may be a whole key, pasted in place of its id, and must not reach a log.
    if not re.fullmatch(r"[0-9a-f]{12}", text):
        raise argparse.ArgumentTypeError("not a key id: expected the 12 hex digits that `feedback keys list` shows")
    return text


def name(text: str) -> str:
    """The name of a key: for whom or what it is."""
    if len(text) > 200 or not text.isprintable():
        raise argparse.ArgumentTypeError("a name has at most 200 characters, all of them printable")
    return text


def rate(text: str) -> int:
    """A rate limit: a number a second."""
    if not text.isdecimal() or not 1 <= int(text) <= 10_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a rate limit: expected a number a second, 1 to 10000000")
    return int(text)


def expiry(text: str) -> datetime:
    """When a key expires: after a number of days or hours, or at a time, in UTC where it names no zone."""
    began = now()
    match = re.fullmatch(r"(\d{1,6})([dh])", text)
    try:
        if match:
            count = int(match[1])
            at = began + (timedelta(days=count) if match[2] == "d" else timedelta(hours=count))
        else:
            at = parse_time(text)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: expected 30d, 12h or 2027-01-31T12:00Z") from None
    if not began < at < began + timedelta(days=366 * _MOST_YEARS):
        raise argparse.ArgumentTypeError(f"{text!r} is not between now and {_MOST_YEARS} years from now")
    return _to_the_millisecond(at)


def _to_the_millisecond(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
