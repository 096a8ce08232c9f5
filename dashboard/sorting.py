"""By which column a table is sorted, as `sort` in the address says: its name, after a minus if the largest comes first.

Pure.
"""

from collections.abc import Collection
from dataclasses import dataclass

from dashboard.page_query import PageQuery


@dataclass(frozen=True)
class Sorting:
    """The sorting of a page at `path`. Columns in `rising_first` begin with the smallest."""

    query: PageQuery
    path: str
    default: str
    rising_first: Collection[str] = ()

    @property
    def _asked(self) -> str:
        return self.query.get("sort", self.default)

    @property
    def name(self) -> str:
        """The column."""
        return self._asked.removeprefix("-")

    @property
    def falls(self) -> bool:
        """Whether the largest comes first."""
        return self._asked.startswith("-")

    @property
    def is_default(self) -> bool:
        """Whether the table is sorted as it is if nobody asks."""
        return self._asked == self.default

    @property
    def direction(self) -> str:
        """The direction as the API names it."""
        return "desc" if self.falls else "asc"

    def link(self, name: str) -> str:
        """The address that sorts by this column, or reverses the order if the table is sorted by it."""
        falls = not self.falls if name == self.name else name not in self.rising_first
        return self.to(f"{'-' * falls}{name}")

    def to(self, sort: str) -> str:
        """The address of the first page in this order, with all else as it is."""
        return self.query.beside(sort=None if sort == self.default else sort, cursor=None).link(self.path)

    def aria(self, name: str) -> str:
        """The `aria-sort` of the column."""
        return "none" if name != self.name else "descending" if self.falls else "ascending"

    def arrow(self, name: str) -> str:
        """The arrow beside the name of the column."""
        return {"ascending": "▲", "descending": "▼"}.get(self.aria(name), "")
