"""The query string of a page: filters, time range and cursor. All that a page shows follows from it.

Pure. Filters have the API's names, and `meta.KEY` asks for a key of metadata. A relative range such as `24h` moves on
with the clock; `time_of_generation_min` and `…_max` stand still. Empty values are left out, as forms send them.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode

from runtime.times import rfc3339_of

RANGES = {
    "15m": ("Last 15 minutes", timedelta(minutes=15)),
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 hours", timedelta(hours=24)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "30d": ("Last 30 days", timedelta(days=30)),
    "90d": ("Last 90 days", timedelta(days=90)),
}
DEFAULT_RANGE = "24h"
SINCE, UNTIL = "time_of_generation_min", "time_of_generation_max"
META = "meta."
KEY = "key"
"""A key of metadata whose values are listed to filter by; any number of them."""
PLACE = frozenset({"cursor", "open", "span", "id", "fresh"})
"""Where on a page its viewer is; whatever changes what the page shows leads back to its beginning."""
_OWN = PLACE | {"range", "columns", "order", "by", "sort", "against", "one", "other", KEY}
"""Parameters that say how a page shows something, and are no filters."""


@dataclass(frozen=True)
class PageQuery:
    """The parameters in the order in which they came; immutable."""

    items: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, items: Iterable[tuple[str, str]]) -> "PageQuery":
        """Those of a request, without what is empty, and of a range and two times the range: forms may send both."""
        given = tuple((name, value) for name, value in items if value.strip())
        left_out = (SINCE, UNTIL) if any(name == "range" for name, _ in given) else ()
        return cls(tuple(each for each in given if each[0] not in left_out))

    @classmethod
    def of_text(cls, text: str) -> "PageQuery":
        """Those of a query string."""
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

    @property
    def range(self) -> str:
        """The name of the relative range; empty where times are given."""
        if self.get(SINCE) or self.get(UNTIL):
            return ""
        asked = self.get("range", DEFAULT_RANGE)
        return asked if asked in RANGES else DEFAULT_RANGE

    @property
    def range_label(self) -> str:
        """The time range in words."""
        return RANGES[self.range][0] if self.range else "Chosen time"

    @property
    def filters(self) -> list[tuple[str, str]]:
        """What is asked of requests or feedback beside the time."""
        return [(name, value) for name, value in self.items if name not in _OWN and name not in (SINCE, UNTIL)]

    def times(self, now: datetime) -> tuple[str, str]:
        """From and until when, exclusive, as the API takes them."""
        if not self.range:
            until = self.get(UNTIL) or rfc3339_of(now)
            return self.get(SINCE) or rfc3339_of(now - timedelta(days=365)), until
        # Up to the next whole second, so that what has just come is in it.
        until_at = now.replace(microsecond=0) + timedelta(seconds=1)
        return rfc3339_of(until_at - RANGES[self.range][1]), rfc3339_of(until_at)

    def for_api(self, now: datetime, *others: str) -> list[tuple[str, str]]:
        """The API's parameters: filters, times, and those `others` of the page that the API takes under their name."""
        since, until = self.times(now)
        metadata = {name.removeprefix(META): value for name, value in self.filters if name.startswith(META)}
        plain = [(name, value) for name, value in self.items if name in others]
        plain += [(name, value) for name, value in self.filters if not name.startswith(META)]
        if metadata:
            plain.append(("metadata", json.dumps(metadata, ensure_ascii=False)))
        return [(SINCE, since), (UNTIL, until), *plain]

    def with_(self, **changes: str | None) -> "PageQuery":
        """With these parameters set, each to one value, or left out where it is None. Back at the page's beginning."""
        return self.set(changes)

    def set(self, changes: dict[str, str | None]) -> "PageQuery":
        """As `with_`, for names that are no identifiers."""
        return PageQuery(tuple(each for each in self.items if each[0] not in PLACE)).beside(**changes)

    def beside(self, **changes: str | None) -> "PageQuery":
        """As `with_`, where the viewer is."""
        kept = [(name, value) for name, value in self.items if name not in changes]
        return PageQuery((*kept, *((name, value) for name, value in changes.items() if value)))

    def at_page(self, cursor: str | int) -> "PageQuery":
        """At another page of the list."""
        return self.with_(cursor=str(cursor))

    def toggled(self, name: str, value: str) -> "PageQuery":
        """With this value of a filter added, or taken away where it was set. A key of metadata has one value."""
        kept = self.with_()
        if self.has(name, value):
            return PageQuery(tuple(each for each in kept.items if each != (name, value)))
        if name.startswith(META):
            return kept.set({name: value})
        return PageQuery((*kept.items, (name, value)))

    def without_filters(self) -> "PageQuery":
        """The time, and how it is shown."""
        filters = frozenset(self.filters)
        return PageQuery(tuple(each for each in self.with_().items if each not in filters))

    @property
    def keys(self) -> list[str]:
        """Keys of metadata whose values are listed: those asked for, and those of filters."""
        filtered = [name.removeprefix(META) for name, _ in self.filters if name.startswith(META)]
        return list(dict.fromkeys([*self.all(KEY), *filtered]))

    def link(self, path: str = "") -> str:
        """A link to a page with these parameters."""
        query = urlencode(self.items)
        return f"{path}?{query}" if query else path or "?"
