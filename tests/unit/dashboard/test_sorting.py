"""The head of a column sorts by it, and its next click the other way."""

from dashboard.page_query import PageQuery
from dashboard.sorting import Sorting


def sorting(address: str) -> Sorting:
    return Sorting(PageQuery.of_text(address), "/logs", "-time", ("name",))


def test_the_address_says_the_column_and_the_direction() -> None:
    assert (sorting("").name, sorting("").direction, sorting("").is_default) == ("time", "desc", True)
    assert (sorting("sort=cost").name, sorting("sort=cost").direction) == ("cost", "asc")
    assert [sorting("sort=-cost").aria(name) for name in ("cost", "time")] == ["descending", "none"]
    assert sorting("sort=cost").aria("cost") == "ascending"


def test_a_column_begins_with_its_largest_or_as_told_with_its_smallest_and_then_turns() -> None:
    assert sorting("user=u").link("cost") == "/logs?user=u&sort=-cost"
    assert sorting("user=u&sort=-cost").link("cost") == "/logs?user=u&sort=cost"
    assert sorting("").link("name") == "/logs?sort=name"


def test_another_order_begins_at_the_first_page_keeps_what_is_open_and_the_usual_one_needs_no_word() -> None:
    assert sorting("cursor=c&open=t").link("cost") == "/logs?open=t&sort=-cost"
    assert sorting("sort=time&open=t").link("time") == "/logs?open=t"
