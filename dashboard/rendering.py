"""The Jinja templates, with filters for numbers, times and links.

Everything is escaped automatically. Texts of callers have `dir="auto"`, so that right-to-left text does not affect
the text around it.
"""

import hashlib
import json
from contextlib import suppress
from datetime import UTC
from math import floor, log10
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dashboard.api_client import in_path
from dashboard.export_order import FORMATS
from dashboard.filter_names import FILTER_NAMES
from dashboard.page_query import RANGES
from runtime.times import parse_time

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
_LEAST_DOLLARS = 1e-6
_MINUS = "−"
_NONE = "–"


def _static_version() -> str:
    digest = hashlib.sha256()
    for each in sorted(STATIC.rglob("*")):
        if each.is_file():
            digest.update(each.read_bytes())
    return digest.hexdigest()[:12]


STATIC_VERSION = _static_version()
"""Part of the address of each static file, so that browsers may cache it for ever."""


def count(number: float | None) -> str:
    """A count with separated thousands."""
    return _NONE if number is None else f"{number:,.0f}".replace("-", _MINUS)


def short_count(number: float | None) -> str:
    """A count in three digits and a unit, up to a thousand billions."""
    if number is None:
        return _NONE
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        # What is rounded up to a thousand of a unit is one of the next.
        if abs(number) >= size * 0.9995:
            scaled = number / size
            # Of three digits the last may be a 0: numbers below each other have as many.
            short = f"{scaled:#.3g}".rstrip(".")
            return f"{short}{unit}" if abs(scaled) < 999.5 else f"{scaled:,.0f}{unit}"
    return f"{number:g}"


def counted(number: float, one: str) -> str:
    """A count with what is counted, whose plural ends in s."""
    return f"{count(number)} {one}{'' if number == 1 else 's'}"


def signed(number: float | None, places: int = 2) -> str:
    """A mean or a value with its sign; zero has none."""
    if number is None:
        return _NONE
    text = f"{number:+.{places}f}"
    return text.lstrip("+-") if not float(text) else text.replace("-", _MINUS)


def value_text(value: int) -> str:
    """The value of a feedback with its sign."""
    return signed(value, 0)


def milliseconds(number: float | None) -> str:
    """A duration: milliseconds below ten seconds, then seconds."""
    if number is None:
        return _NONE
    return f"{number:,.0f} ms" if number < 10_000 else f"{number / 1000:,.1f} s"


def money(cents: float | None) -> str:
    """US cents as dollars: below one dollar three significant digits, as far as there are six decimal places."""
    if cents is None:
        return _NONE
    dollars = cents / 100
    if dollars >= 1 or not dollars:
        return f"${dollars:,.2f}"
    if dollars < _LEAST_DOLLARS:
        return f"<${_LEAST_DOLLARS:.6f}"
    rounded = float(f"{dollars:.3g}")
    return f"${rounded:.{min(2 - floor(log10(rounded)), 6)}f}"


def rate(number: float) -> str:
    """A number a second."""
    return f"{number:,.0f}/s" if number >= 10 or not number else f"{number:.1f}/s"


def percent(share: float | None) -> str:
    """A share of one."""
    return _NONE if share is None else f"{share * 100:.1f} %"


def utc(text: str) -> str:
    """A time in UTC for people; a script shows it in the viewer's zone. Other texts are kept, because callers of the
    API may write times in other ways."""
    try:
        return f"{parse_time(text).astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError):
        return text


def url_path(url: str) -> str:
    """The path of an address, which says what was called; the address where it has none."""
    with suppress(ValueError):
        if (path := urlsplit(url).path) not in ("", "/"):
            return path
    return url


def metadata_text(value: Any) -> str:
    """A value of metadata as text, in the form by which the API filters: a text as it is, anything else as JSON; empty
    for null."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def pretty_json(value: Any) -> str:
    """Indented JSON."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def environment() -> Environment:
    """The templates of the dashboard."""
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        enable_async=False,
    )
    made.filters |= {
        each.__name__: each
        for each in (
            count,
            counted,
            short_count,
            signed,
            value_text,
            milliseconds,
            money,
            rate,
            percent,
            utc,
            url_path,
            metadata_text,
            pretty_json,
            in_path,
        )
    }
    made.globals |= {
        "static": f"/static/{STATIC_VERSION}",
        "ranges": RANGES,
        "filter_names": FILTER_NAMES,
        "export_formats": FORMATS,
        "new_token": lambda: uuid4().hex,
    }
    return made
