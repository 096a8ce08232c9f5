"""The table of feedback grouped by a field: its field, its sorting, and the links of its rows. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboard.page_query import META, SINCE, UNTIL, PageQuery

BY = {
    "ai_model": "Model",
    "prompt_slug": "Prompt",
    "organisation": "Organisation",
    "environment": "Environment",
    "user": "User",
}
PAGE_SIZE = 25
_OF_A_KEY = "metadata."
_DEFAULT_BY, _DEFAULT_SORT = "ai_model", "-n"
_RISING_FIRST = ("value",)


@dataclass(frozen=True)
class GroupTable:
    """The table as the query of the page asks for it."""

    query: PageQuery

    @property
    def by(self) -> str:
        """The name of the field in the API; any other name is a metadata key."""
        asked = self.query.get("by", _DEFAULT_BY)
        return asked if asked in BY or asked.startswith(_OF_A_KEY) else f"{_OF_A_KEY}{asked}"

    @property
    def label(self) -> str:
        """The label of the field."""
        return BY.get(self.by, self.key)

    @property
    def key(self) -> str:
        """The metadata key; empty if the table is by a field."""
        return "" if self.by in BY else self.by.removeprefix(_OF_A_KEY)

    @property
    def sort(self) -> tuple[str, bool]:
        """The number by which rows are sorted, and whether the largest comes first."""
        asked = self.query.get("sort", _DEFAULT_SORT)
        return asked.removeprefix("-"), asked.startswith("-")

    def asked(self) -> list[tuple[str, str]]:
        """The parameters of the API besides filters."""
        name, falls = self.sort
        return [
            ("by", self.by),
            ("order_by", name),
            ("order_by_type", "desc" if falls else "asc"),
            ("page_size", str(PAGE_SIZE)),
            ("current_page", str(self.page)),
        ]

    @property
    def page(self) -> int:
        """The page number, from 0."""
        asked = self.query.get("cursor", "0")
        return int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 0

    def sorted_by(self, name: str) -> str:
        """The address that sorts by this number, or reverses the order if the table is sorted by it."""
        now, falls = self.sort
        falling = not falls if now == name else name not in _RISING_FIRST
        return self.query.with_(sort=f"{'-' * falling}{name}").link("/analytics")

    def aria_sort(self, name: str) -> str:
        """The `aria-sort` of the column."""
        now, falls = self.sort
        return "none" if now != name else "descending" if falls else "ascending"

    def logs_of(self, group: Mapping[str, Any]) -> str | None:
        """The address of the requests with feedback of this group; None if no filter selects them."""
        if not group["value"]:
            return None
        kept = [each for each in self.query.items if each[0] in ("range", SINCE, UNTIL) or each in self.query.filters]
        name = f"{META}{self.key}" if self.key else self.by
        return PageQuery(tuple(kept)).set({name: group["value"], "has_feedback": "true"}).link("/logs")
