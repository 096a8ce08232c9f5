"""Numbers of requests are what plain Python makes of the rows, under every filter, over any time, by any field."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from query_api.analytics.parameters import Page
from query_api.analytics.request_groups import COLUMNS, GroupedBy, GroupsAsked, groups_of_requests
from query_api.analytics.request_measures import (
    COST,
    ERROR_RATE,
    ERRORS,
    LATENCY,
    REQUESTS,
    TOKENS,
    USER_REQUESTS,
    USERS,
    Measure,
)
from query_api.analytics.request_series import errors_by_status, requests_over_time
from query_api.analytics.time_buckets import BUCKETS, timeline, zone_of
from query_api.filters.parameters import filters_in
from tests.buckets import coarse_enough
from tests.pipeline.query_api.analytics_data import START, Row, insert_requests, invented, requests_asked
from tests.pipeline.query_api.analytics_world import World
from tests.pipeline.query_api.test_analytics import ALL, RANGES, THREE_HOURS, WHOLE, ZONES, filters_between, some_of
from tests.tries import tries

FIELD_OF = {
    "user": "_user", "organisation": "_organisation", "prompt": "_prompt", "environment": "_environment",
    "model": "model", "provider": "provider", "status": "status", "workspace": "workspace",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def replayed(world: World) -> Iterator[None]:
    """Some requests are stored twice, as after a crash of their worker."""
    no_merges = "max_bytes_to_merge_at_max_space_in_pool"
    world.client.command(f"ALTER TABLE feedback.request_log_rows MODIFY SETTING {no_merges} = 1")
    insert_requests(world.client, world.stored.requests[::3])
    yield
    world.client.command(f"ALTER TABLE feedback.request_log_rows RESET SETTING {no_merges}")


def mean(numbers: list[Any]) -> float | None:
    return float(sum(map(Fraction, numbers)) / len(numbers)) if numbers else None


def percent(part: int, whole: int) -> float | None:
    return float(Fraction(100 * part, whole)) if whole else None


def known_values(rows: list[Row], column: str) -> list[Any]:
    return [row[column] for row in rows if row[column] is not None]


def is_error(row: Row) -> bool:
    return not 100 <= row["status"] < 400


def percentile(rows: list[Row], percent_: int) -> float | None:
    """The least time that a larger share took at most; the longest where no share is larger."""
    times = sorted(known_values(rows, "response_time_ms"))
    return next((each for at, each in enumerate(times, 1) if at > percent_ / 100 * len(times)), None)


def latency(rows: list[Row]) -> Row:
    times = known_values(rows, "response_time_ms")
    return {"avg": mean(times), "n": len(times), **{f"p{each}": percentile(rows, each) for each in (50, 90, 95, 99)}}


def tokens(rows: list[Row]) -> Row:
    total, input_, output = (known_values(rows, f"{kind}_tokens") for kind in ("total", "prompt", "completion"))
    return {
        "total": sum(total), "avg": mean(total), "n": len(total), "input": sum(input_), "avg_input": mean(input_),
        "output": sum(output), "avg_output": mean(output),
    }  # fmt: skip


def error_rate(rows: list[Row]) -> Row:
    errors = sum(map(is_error, rows))
    rest = len(rows) - errors
    return {
        "rate": percent(errors, len(rows)), "success": percent(rest, len(rows)), "errors": errors,
        "requests": len(rows),
    }  # fmt: skip


def user_requests(rows: list[Row]) -> Row:
    users = [row["_user"] for row in rows if row["_user"]]
    unique = len(set(users))
    return {"total": len(users), "unique": unique, "avg": len(users) / unique if unique else None}


def cost(rows: list[Row]) -> Row:
    costs = known_values(rows, "cost")
    return {"total": float(sum(map(Fraction, costs))), "avg": mean(costs), "n": len(costs)}


EXPECTED: list[tuple[Measure[Any], Callable[[list[Row]], Row]]] = [
    (REQUESTS, lambda rows: {"total": len(rows)}),
    (ERRORS, lambda rows: {"total": sum(map(is_error, rows))}),
    (ERROR_RATE, error_rate),
    (USERS, lambda rows: {"total": user_requests(rows)["unique"]}),
    (USER_REQUESTS, user_requests),
    (COST, cost),
    (LATENCY, latency),
    (TOKENS, tokens),
]


@settings(max_examples=tries(12), suppress_health_check=list(HealthCheck))
@given(
    given=some_of(ALL), times=RANGES, bucket=st.sampled_from(BUCKETS), zone=st.sampled_from(ZONES),
    measure=st.sampled_from(EXPECTED),
)  # fmt: skip
@example({}, WHOLE, "day", "Europe/Berlin", EXPECTED[3])
@example({}, WHOLE, "hour", "UTC", EXPECTED[6])
def test_each_measure_over_time_is_that_of_the_rows(
    world: World, given: dict[str, str], times: tuple[datetime, datetime], bucket: Any, zone: str,
    measure: tuple[Measure[Any], Callable[[list[Row]], Row]],
) -> None:  # fmt: skip
    filters, when = filters_between(given, *times), timeline(*times, coarse_enough(bucket, *times), zone_of(zone))
    found = world.runner.run(requests_over_time(world.reader, filters, when, measure[0]))
    rows = requests_asked(world.stored, filters)
    in_buckets = by_bucket(rows, when.starts)
    assert found.everything.model_dump() == measure[1](rows)
    assert [(start, value.model_dump()) for start, value in found.points] == [
        (start, measure[1](in_buckets[start])) for start in when.starts
    ]
    if measure[0] is ERRORS:
        counted = world.runner.run(errors_by_status(world.reader, filters, when))
        assert counted == [(start, statuses(in_buckets[start])) for start in when.starts]
        assert all(list(counts) == sorted(counts) for _, counts in counted)


@settings(max_examples=tries(10), suppress_health_check=list(HealthCheck))
@given(
    given=some_of(ALL), times=RANGES, grouped_by=st.sampled_from(get_args(GroupedBy)),
    columns=st.lists(st.sampled_from(sorted(COLUMNS)), unique=True, min_size=1, max_size=4),
    order_by=st.sampled_from(sorted(COLUMNS)), order=st.sampled_from(["asc", "desc"]),
    page=st.sampled_from([Page(50, 0), Page(2, 2), Page(1, 0), Page(3, 9)]),
)  # fmt: skip
@example({}, WHOLE, "user", list(COLUMNS), "p99_latency", "desc", Page(50, 0))
@example({}, THREE_HOURS, "user", ["avg_input_tokens"], "p50_latency", "asc", Page(50, 0))
@example({}, WHOLE, "model", list(COLUMNS), "success_rate", "asc", Page(2, 2))
@example({}, WHOLE, "status", ["cost"], "avg_latency", "asc", Page(3, 9))
def test_groups_are_those_of_the_rows_in_any_order_and_any_part(
    world: World, given: dict[str, str], times: tuple[datetime, datetime], grouped_by: Any, columns: list[str],
    order_by: str, order: Any, page: Page,
) -> None:  # fmt: skip
    filters = filters_between(given, *times)
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in requests_asked(world.stored, filters):
        groups[row[FIELD_OF[grouped_by]]].append(row)
    numbers = {value: numbers_of(rows) for value, rows in groups.items()}

    def place(value: Any) -> tuple[Any, ...]:
        number = numbers[value][order_by]
        if isinstance(number, datetime):
            number = number.timestamp()
        return (number is None, (number or 0) * (1 if order == "asc" else -1), value)

    total, found = world.runner.run(
        groups_of_requests(world.reader, filters, grouped_by, GroupsAsked(columns, order_by, order, page))
    )
    assert total == len(groups)
    assert [(value, group.model_dump(exclude_unset=True)) for value, group in found] == [
        (value, {**{name: numbers[value][name] for name in columns}, "object": "analytics-group"})
        for value in sorted(groups, key=place)[page.skipped : page.skipped + page.size]
    ]


def test_sums_of_decimal_costs_and_times_do_not_drift(world: World) -> None:
    cents = ["0.1", "0.2", "0.7", "1.1", "0.000001", "123456.789", "-0.3", "99999.999999"] * 41
    requests = [dict(row) for row in invented("drift", 3).requests[:1] * len(cents)]
    for number, (row, text) in enumerate(zip(requests, cents, strict=True)):
        row |= {"request_id": f"00000000-0000-0000-0000-{number:012}", "cost": float(text), "started_at": START}
        row["response_time_ms"] = abs(float(text)) if number % 8 < 6 else 0.1
    insert_requests(world.client, requests)
    filters = filters_in({}, "drift")
    when = timeline(START, START + timedelta(days=1), "day", zone_of("UTC"))
    found = world.runner.run(requests_over_time(world.reader, filters, when, COST)).everything
    assert found.total == float(sum(map(Decimal, cents)))
    assert found.avg == float(sum(map(Fraction, cents)) / len(cents))
    times = [text if number % 8 < 6 else "0.1" for number, text in enumerate(cents)]
    assert world.runner.run(requests_over_time(world.reader, filters, when, LATENCY)).everything.avg == float(
        sum(map(Fraction, times)) / len(times)
    )


def test_a_request_that_is_stored_twice_is_listed_once(world: World) -> None:
    listed: list[Any] = []
    page: dict[str, Any] = {"next_cursor": ""}
    while (cursor := page["next_cursor"]) is not None:
        asked_for = {"page_size": 7} | ({"cursor": cursor} if cursor else {})
        reply = world.runner.run(world.api.get("/v1/logs", params=asked_for))
        page = reply.json()
        listed += page["data"]
        assert len(page["data"]) == 7 or page["next_cursor"] is None
    times = [datetime.fromisoformat(row["created_at"]) for row in listed]
    assert times == sorted(times, reverse=True)
    stored = [(row["started_at"], str(row["request_id"])) for row in world.stored.requests]
    assert sorted(zip(times, (row["id"] for row in listed), strict=True)) == sorted(stored)


def test_the_data_try_what_is_measured(world: World) -> None:
    """Second copies, errors, and rows that tell nothing: each is there, so that the properties above can fail."""
    count = "SELECT count() FROM feedback.{} WHERE workspace = 'default'"
    in_table, in_view = (
        world.client.query(count.format(name)).result_rows[0][0] for name in ("request_log_rows", "request_logs")
    )
    rows = world.stored.requests
    assert in_table > in_view == len(rows)
    assert {0, 302} < {row["status"] for row in rows}
    for column in ("cost", "total_tokens", "response_time_ms"):
        assert 0 < len(known_values(rows, column)) < len(rows)
    assert {"", "u1", "u2"} == {row["_user"] for row in rows}


@pytest.mark.parametrize("numbers", [[1.0], [1, 2], [3, 1, 2, 2], list(range(1, 201)), [5.5] * 7])
def test_a_percentile_is_a_time_that_some_request_took(numbers: list[float]) -> None:
    rows = [{"response_time_ms": each} for each in numbers]
    for percent_ in (50, 90, 95, 99):
        found = percentile(rows, percent_)
        assert found in numbers
        assert sum(each <= found for each in numbers) * 100 > percent_ * len(numbers)
        assert sum(each < found for each in numbers) * 100 <= percent_ * len(numbers)


def by_bucket(rows: Iterable[Row], starts: tuple[datetime, ...]) -> dict[datetime, list[Row]]:
    found: dict[datetime, list[Row]] = defaultdict(list)
    for row in rows:
        found[max(each for each in starts if each <= row["started_at"])].append(row)
    return found


def statuses(rows: list[Row]) -> dict[int, int]:
    return dict(Counter(row["status"] for row in rows if is_error(row)))


def numbers_of(rows: list[Row]) -> Row:
    of_tokens, times, rates = tokens(rows), latency(rows), error_rate(rows)
    began = [row["started_at"].replace(microsecond=row["started_at"].microsecond // 1000 * 1000) for row in rows]
    return {
        "requests": len(rows), "cost": cost(rows)["total"], "total_tokens": of_tokens["total"],
        "avg_tokens": of_tokens["avg"], "avg_input_tokens": of_tokens["avg_input"],
        "avg_output_tokens": of_tokens["avg_output"], "avg_latency": times["avg"],
        **{f"{name}_latency": times[name] for name in ("p50", "p90", "p95", "p99")},
        "error_count": rates["errors"], "success_rate": rates["success"],
        "first_seen": min(began), "last_seen": max(began),
    }  # fmt: skip
