"""An address says all that a page shows, and each link says what it changes of that."""

from datetime import UTC, datetime

import pytest

from dashboard.page_query import PageQuery
from query_api.facets.fields import MOST_FILTERED

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


def query_of(text: str) -> PageQuery:
    return PageQuery.of_text(text)


def test_what_changes_a_list_leads_to_its_beginning_with_nothing_open() -> None:
    query = query_of("range=7d&cursor=c&open=t&span=s&fresh=1&by=user&ai_model=a")
    assert query.toggled("ai_model", "b") == query_of("range=7d&by=user&ai_model=a&ai_model=b")
    assert query.toggled("ai_model", "a") == query_of("range=7d&by=user")
    assert query.with_(range="1h") == query_of("by=user&ai_model=a&range=1h")
    assert query.at_page(2) == query_of("range=7d&by=user&ai_model=a&cursor=2")


def test_what_is_opened_and_closed_leaves_the_list_where_it_is() -> None:
    query = query_of("range=7d&cursor=c&open=t&span=s")
    assert query.beside(span="other") == query_of("range=7d&cursor=c&open=t&span=other")
    assert query.beside(open=None, span=None) == query_of("range=7d&cursor=c")


def test_clearing_filters_leaves_the_time_and_how_it_is_shown() -> None:
    query = query_of("range=7d&order=worst&ai_model=a&meta.plan=pro&key=plan&cursor=c")
    assert query.without_filters() == query_of("range=7d&order=worst&key=plan")


def test_a_key_of_metadata_has_one_value_and_is_listed_where_it_is_asked_for_or_filtered_by() -> None:
    query = query_of("key=plan&meta.tier=3")
    assert query.toggled("meta.tier", "4") == query_of("key=plan&meta.tier=4")
    assert query.keys == ["plan", "tier"]
    assert query.toggled("key", "plan").keys == ["tier"]
    assert MOST_FILTERED == 10, "the dashboard asks for as many"
    many = "&".join(f"meta.k{n}=x" for n in range(12))
    assert query_of(f"key=plan&{many}").keys == ["plan", *(f"k{n}" for n in range(10))], "the API refuses more"
    assert ("metadata", '{"tier": "3"}') in query.for_api(NOW)


def test_of_a_range_and_two_times_the_range_counts() -> None:
    times = "time_of_generation_min=2020-01-01&time_of_generation_max=2020-01-02"
    assert query_of(f"{times}&range=1h").times(NOW)[1].startswith("2026-11-02T12")
    assert query_of(times).times(NOW) == ("2020-01-01", "2020-01-02")
    assert query_of(times).range_label == "Chosen time"


@pytest.mark.parametrize(
    ("asked", "since", "until"),
    [
        ("min=2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z", "2026-11-02T12"),
        ("min=2027-11-01T00:00:00Z", "2027-11-01T00:00:00Z", "2028-10-31"),
        ("max=2026-11-01T00:00:00Z", "2025-11-01", "2026-11-01T00:00:00Z"),
        ("max=2020-01-02T00:00:00Z", "2019-01-02", "2020-01-02T00:00:00Z"),
        ("max=2027-11-01T00:00:00Z", "2025-11-02", "2027-11-01T00:00:00Z"),
        ("min=yesterday", "yesterday", "2026-11-02T12"),
    ],
)
def test_a_time_with_one_end_begins_before_it_ends(asked: str, since: str, until: str) -> None:
    begin, end = query_of(f"time_of_generation_{asked}").times(NOW)
    assert begin.startswith(since)
    assert end.startswith(until)


def test_a_choice_is_marked_where_all_its_filters_are_set_and_no_other_of_them() -> None:
    liked = {"weighted_feedback_min": "0.01", "weighted_feedback_max": None}
    assert query_of("weighted_feedback_min=0.01&user=ada").agrees(liked)
    assert not query_of("weighted_feedback_min=0.01&weighted_feedback_max=3").agrees(liked)
    assert not query_of("user=ada").agrees(liked)


@pytest.mark.parametrize(
    ("since", "until", "fault"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", ""),
        ("2026-01-01T00:00:00%2B02:00", "2025-12-31T23:00:00Z", ""),
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", "From is later than Until"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "Until must be later than From"),
        ("2026-01-02T00:00:00Z", "", ""),
        ("", "2026-01-02T00:00:00Z", ""),
        ("never", "2026-01-02T00:00:00Z", ""),
    ],
)
def test_two_times_the_wrong_way_round_are_a_fault(since: str, until: str, fault: str) -> None:
    assert query_of(f"time_of_generation_min={since}&time_of_generation_max={until}").time_fault == fault
