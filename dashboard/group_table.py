"""The table of feedback grouped by a field: its field, its sorting, and the links of its rows. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboard.group_fields import field_of, filter_of, key_of
from dashboard.page_query import SINCE, UNTIL, PageQuery
from dashboard.sorting import Sorting

BY = {
    "ai_model": "Model",
    "prompt_slug": "Prompt",
    "organisation": "Organisation",
    "environment": "Environment",
    "user": "User",
}
PAGE_SIZE = 25
_DEFAULT_BY = "ai_model"
_RISING_FIRST = ("value",)


@dataclass(frozen=True)
class GroupTable:
    """The table as the query of the page asks for it."""

    query: PageQuery

    @property
    def by(self) -> str:
        """The name of the field in the API; any other name is a metadata key."""
        return field_of(self.query.get("by", _DEFAULT_BY), BY)

    @property
    def label(self) -> str:
        """The label of the field."""
        return BY.get(self.by, self.key)

    @property
    def key(self) -> str:
        """The metadata key; empty if the table is by a field."""
        return key_of(self.by)

    @property
    def sorting(self) -> Sorting:
        """How rows are sorted."""
        return Sorting(self.query, "/analytics", "-n", _RISING_FIRST)

    def asked(self) -> list[tuple[str, str]]:
        """The parameters of the API besides filters."""
        return [
            ("by", self.by),
            ("order_by", self.sorting.name),
            ("order_by_type", self.sorting.direction),
            ("page_size", str(PAGE_SIZE)),
            ("current_page", str(self.page)),
        ]

    @property
    def page(self) -> int:
        """The page number, from 0."""
        asked = self.query.get("cursor", "0")
        return int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 0

    def logs_of(self, group: Mapping[str, Any]) -> str | None:
        """The address of the requests with feedback of this group; None if no filter selects them."""
        return self._of(group, "/logs", has_feedback="true")

    def feedback_of(self, group: Mapping[str, Any]) -> str | None:
        """The address of this group's feedback, the worst first; None if no filter selects it."""
        return self._of(group, "/feedback", order="worst")

    def _of(self, group: Mapping[str, Any], page: str, **settings: str) -> str | None:
        if not group["value"]:
            return None
        kept = [each for each in self.query.items if each[0] in ("range", SINCE, UNTIL) or each in self.query.filters]
        return PageQuery(tuple(kept)).set({filter_of(self.by): group["value"], **settings}).link(page)
