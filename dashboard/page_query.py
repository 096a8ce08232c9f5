"""The query string of a page: filters, time range and cursor. It determines everything that the page shows.

Pure. Filters have the names of the API, and `meta.KEY` filters by a metadata key. A relative range such as `24h` moves
with the clock; `time_of_generation_min` and `…_max` are fixed. Empty values, which forms send, are ignored.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode

from runtime.times import parse_time, rfc3339_of

RANGES = {
    "15m": ("Last 15 minutes", timedelta(minutes=15)),
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 hours", timedelta(hours=24)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "30d": ("Last 30 days", timedelta(days=30)),
    "90d": ("Last 90 days", timedelta(days=90)),
}
DEFAULT_RANGE = "24h"
_OPEN = timedelta(days=365)
"""How far a chosen time reaches that has one end only."""
SINCE, UNTIL = "time_of_generation_min", "time_of_generation_max"
META = "meta."
KEY = "key"
"""Metadata keys whose values are listed to filter by; may occur several times."""
_MOST_FILTERED = 10
"""How many fields the API counts that have a filter of their own."""
PLACE = frozenset({"cursor", "open", "span", "id", "fresh"})
"""Parameters of the position on a page. A change of what the page shows removes them."""
_OWN = PLACE | {"range", "columns", "order", "by", "sort", "against", "one", "other", KEY}
"""Parameters of the page itself, which are no filters."""


@dataclass(frozen=True)
class PageQuery:
    """The parameters in their order. Immutable."""

    items: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, items: Iterable[tuple[str, str]]) -> "PageQuery":
        """The parameters without empty ones. Forms may send a range and two times; then the range counts."""
        given = tuple((name, value) for name, value in items if value.strip())
        left_out = (SINCE, UNTIL) if any(name == "range" for name, _ in given) else ()
        return cls(tuple(each for each in given if each[0] not in left_out))

    @classmethod
    def of_text(cls, text: str) -> "PageQuery":
        """The parameters of a query string."""
        return cls.of(parse_qsl(text))

    def get(self, name: str, default: str = "") -> str:
        """The first value of a parameter."""
        return next((value for given, value in self.items if given == name), default)

    def all(self, name: str) -> list[str]:
        """Every value of a parameter."""
        return [value for given, value in self.items if given == name]

    def has(self, name: str, value: str) -> bool:
        """Whether this filter is set to this value."""
        return (name, value) in self.items

    def agrees(self, settings: dict[str, str | None]) -> bool:
        """Whether each of these parameters has this value, or is missing where the value is None."""
        return all(self.get(name) == (value or "") for name, value in settings.items())

    @property
    def range(self) -> str:
        """The name of the relative range; empty where times are given."""
        if self.get(SINCE) or self.get(UNTIL):
            return ""
        asked = self.get("range", DEFAULT_RANGE)
        return asked if asked in RANGES else DEFAULT_RANGE

    @property
    def time_fault(self) -> str:
        """What is wrong between the two times of the query, in a sentence; empty if nothing is."""
        try:
            since, until = parse_time(self.get(SINCE)), parse_time(self.get(UNTIL))
            if since < until:
                return ""
        except (ValueError, OverflowError):
            # One is missing, or the API says what is wrong with it.
            return ""
        return "Until must be later than From" if since == until else "From is later than Until"

    @property
    def range_label(self) -> str:
        """The time range in words."""
        return RANGES[self.range][0] if self.range else "Chosen time"

    @property
    def filters(self) -> list[tuple[str, str]]:
        """The filters other than the time."""
        return [(name, value) for name, value in self.items if name not in _OWN and name not in (SINCE, UNTIL)]

    def times(self, now: datetime) -> tuple[str, str]:
        """The begin and the exclusive end of the time, as the API takes them."""
        if not self.range:
            return self._chosen_times(now)
        # Until the next whole second, so that the newest rows are included.
        until_at = now.replace(microsecond=0) + timedelta(seconds=1)
        return rfc3339_of(until_at - RANGES[self.range][1]), rfc3339_of(until_at)

    def _chosen_times(self, now: datetime) -> tuple[str, str]:
        """The two times of the query. Where one is missing, it lies on its side of the other, wherever that is."""
        since, until = self.get(SINCE), self.get(UNTIL)
        try:
            return (
                since or rfc3339_of(min(parse_time(until), now) - _OPEN),
                until or rfc3339_of(now if parse_time(since) < now else parse_time(since) + _OPEN),
            )
        except (ValueError, OverflowError):
            # The API says what is wrong with the one that is given.
            return since or rfc3339_of(now - _OPEN), until or rfc3339_of(now)

    def for_api(self, now: datetime, *others: str) -> list[tuple[str, str]]:
        """The parameters of the API: filters, times, and `others` that the API takes under the same name."""
        since, until = self.times(now)
        metadata = {name.removeprefix(META): value for name, value in self.filters if name.startswith(META)}
        plain = [(name, value) for name, value in self.items if name in others]
        plain += [(name, value) for name, value in self.filters if not name.startswith(META)]
        if metadata:
            plain.append(("metadata", json.dumps(metadata, ensure_ascii=False)))
        return [(SINCE, since), (UNTIL, until), *plain]

    def with_(self, **changes: str | None) -> "PageQuery":
        """This query with these parameters set, or removed where the value is None, and without a position."""
        return self.set(changes)

    def set(self, changes: dict[str, str | None]) -> "PageQuery":
        """As `with_`, for names that are no identifiers."""
        return PageQuery(tuple(each for each in self.items if each[0] not in PLACE)).beside(**changes)

    def beside(self, **changes: str | None) -> "PageQuery":
        """As `with_`, but at the same position."""
        kept = [(name, value) for name, value in self.items if name not in changes]
        return PageQuery((*kept, *((name, value) for name, value in changes.items() if value)))

    def at_page(self, cursor: str | int) -> "PageQuery":
        """This query at another page of the list."""
        return self.with_(cursor=str(cursor))

    def toggled(self, name: str, value: str) -> "PageQuery":
        """This query with this value of a filter added, or removed if it was set. A metadata key has one value."""
        kept = self.with_()
        if self.has(name, value):
            return PageQuery(tuple(each for each in kept.items if each != (name, value)))
        if name.startswith(META):
            return kept.set({name: value})
        return PageQuery((*kept.items, (name, value)))

    def without_filters(self) -> "PageQuery":
        """This query without its filters."""
        filters = frozenset(self.filters)
        return PageQuery(tuple(each for each in self.with_().items if each not in filters))

    @property
    def keys(self) -> list[str]:
        """Metadata keys whose values are listed: those of the page, and those of filters, as many as the API counts."""
        filtered = dict.fromkeys(name.removeprefix(META) for name, _ in self.filters if name.startswith(META))
        uncounted = set([*filtered][_MOST_FILTERED:])
        return [key for key in dict.fromkeys([*self.all(KEY), *filtered]) if key not in uncounted]

    def link(self, path: str = "") -> str:
        """A link to a page with these parameters."""
        query = urlencode(self.items)
        return f"{path}?{query}" if query else path or "?"
