"""A cursor is the place of an item: it comes back as it was, and nothing else passes for one."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from query_api.filters.cursors import Place, cursor_of, page_size_in, place_in
from runtime.http_errors import ApiError

START = datetime(2000, 1, 1, tzinfo=UTC)
CURSOR = cursor_of("f", START, str(UUID(int=7)))


@given(st.integers(0, 3_155_759_999_999), st.uuids())
def test_a_cursor_comes_back_as_the_place_it_was_made_of(since_ms: int, identity: UUID) -> None:
    cursor = cursor_of("f", START + timedelta(milliseconds=since_ms), str(identity))
    assert place_in(QueryParams(cursor=cursor), "f") == Place(946_684_800_000 + since_ms, identity)


def test_without_a_cursor_a_list_begins_at_its_start() -> None:
    assert place_in(QueryParams(), "f") is None


@pytest.mark.parametrize(
    "cursor", ["", "f", CURSOR[1:], CURSOR + "A", CURSOR[:-1], CURSOR[:-1] + "\n", "l" + CURSOR[1:], "f" + "_" * 32]
)
def test_what_this_list_never_answered_with_is_refused_by_name(cursor: str) -> None:
    with pytest.raises(ApiError) as caught:
        place_in(QueryParams(span_cursor=cursor), "f", "span_cursor")
    assert (caught.value.param, caught.value.status) == ("span_cursor", 400)


@given(st.text())
def test_any_text_is_a_place_or_a_refusal(text: str) -> None:
    with suppress(ApiError):
        assert place_in(QueryParams(cursor=text), "f")


@pytest.mark.parametrize("size", ["0", "101", "-1", "ten", "", "1e1", "\u0661"])
def test_a_page_has_one_to_a_hundred_items(size: str) -> None:
    with pytest.raises(ApiError) as caught:
        page_size_in(QueryParams(page_size=size))
    assert caught.value.param == "page_size"
    assert [page_size_in(QueryParams(page_size=good)) for good in ("1", "100")] == [1, 100]
