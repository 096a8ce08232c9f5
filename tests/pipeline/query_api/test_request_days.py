"""Days of requests that are kept: whatever changes, the answer is the one that the rows give."""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from operations.removal import mutate
from query_api.analytics import request_days, requests_by_metadata
from query_api.analytics.day_keeper import DayKeeper
from query_api.analytics.parameters import Page
from query_api.analytics.request_days import DaysOfKey, KeyOfRequests, kept_days
from query_api.analytics.requests_by_metadata import RequestGroups
from query_api.clickhouse import Reader
from query_api.filters.parameters import LogFilters
from tests.pipeline.query_api.analytics_world import World, queries_over

SINCE, UNTIL = datetime(2026, 3, 1, 6, tzinfo=UTC), datetime(2026, 3, 6, 18, tzinfo=UTC)
NOW = datetime(2026, 5, 1, tzinfo=UTC)
FIRST, END = date(2026, 3, 2), date(2026, 3, 6)
"""The whole days of the time that is asked for."""
ALL_DAYS = {date(2026, 3, day) for day in (2, 3, 4, 5)}
KEY = "tier"
NO_DAYS = {"first_request_day": date(1970, 1, 1), "last_request_day": date(1970, 1, 1)}
Row = dict[str, Any]


def at(number: int) -> datetime:
    """When a request with this number began: three hours after the one before."""
    return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=3 * number)


class Requests:
    """The requests of one workspace, and the numbers of their traces, as workers store them."""

    def __init__(self, world: World) -> None:
        self.world, self.workspace, self.version = world, f"days-{uuid.uuid4()}", 0
        self.since, self.until = SINCE, UNTIL
        self.of = KeyOfRequests(self.workspace, KEY, "r.metadata_texts[{group_key:String}]")
        self.add(*((f"t{number}", number, ["gold", "silver", ""][number % 3]) for number in range(40)))
        self.add(("long", 10, "gold"), ("long", 30, "gold"), ("long", 31, "silver"))
        self.judge(*((f"t{number}", [number], 1 + number % 3) for number in range(0, 40, 2)), ("long", [10, 30, 31], 5))

    def add(self, *requests: tuple[str, int, str]) -> None:
        """Store requests: trace, number, and what each says."""
        rows = [
            {
                "workspace": self.workspace, "request_id": uuid.uuid5(uuid.NAMESPACE_OID, f"{trace_id} {number}"),
                "trace_id": trace_id, "started_at": at(number), "received_at": at(number), "sequence": 1,
                "metadata": f'{{"{KEY}":"{says}"}}' if says else "{}", "cost": number / 10,
                "total_tokens": number % 5 or None,
            }
            for trace_id, number, says in requests
        ]  # fmt: skip
        self._insert("request_log_rows", rows)

    def judge(self, *traces: tuple[str, list[int], int], **columns: Any) -> None:
        """Store the numbers of traces: trace, numbers of its requests, and how much feedback it has."""
        self.version += 1
        rows = [
            {
                "workspace": self.workspace, "trace_id": trace_id, "feedback_count": feedback, "version": self.version,
                "weight_sum": Decimal(feedback) / 2, "value_weight_sum": Decimal(feedback) * 3,
                "requests": len(numbers), "first_request_day": at(min(numbers)).date(),
                "last_request_day": at(max(numbers)).date(),
            } | columns
            for trace_id, numbers, feedback in traces
        ]  # fmt: skip
        self._insert("trace_aggregate_rows", rows)

    def _insert(self, table: str, rows: list[Row]) -> None:
        self.world.client.insert(f"feedback.{table}", [list(row.values()) for row in rows], column_names=list(rows[0]))

    def groups(self, key: str = KEY) -> RequestGroups:
        """As the API finds them."""
        asked = LogFilters(self.workspace, self.since, self.until)
        return self.world.runner.run(
            requests_by_metadata.requests_by_metadata(self.world.reader, asked, key, Page(), NOW)
        )

    def kept(self) -> set[date]:
        """The days that are kept and still right."""
        return set(self.world.runner.run(kept_days(self.world.reader, DaysOfKey(self.of, FIRST, END))))

    def keep(self, reader: Reader | None = None) -> None:
        self.world.runner.run(DayKeeper(reader or self.world.reader).keep(DaysOfKey(self.of, FIRST, END)))

    def answer(self) -> tuple[int, list[Row]]:
        found = self.groups()
        return found.total, found.page

    def answer_of_rows(self, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[Row]]:
        """The answer without any day that is kept."""
        with monkeypatch.context() as patched:
            patched.setattr(request_days, "SETTLED", timedelta(days=10_000))
            return self.answer()

    def merge(self) -> None:
        for table in ("request_log_rows", "trace_aggregate_rows", "request_day_sums"):
            self.world.client.command(f"OPTIMIZE TABLE feedback.{table} FINAL")

    def delete(self) -> None:
        """By hand, beside our commands."""
        removal = "ALTER TABLE feedback.request_log_rows DELETE WHERE workspace = {w:String} AND trace_id = 't10'"
        self.world.client.command(removal, {"w": self.workspace}, settings={"mutations_sync": 2})

    def widen(self, trace_id: str, number: int, other: int, says: str) -> None:
        """Give a trace a request with another number."""
        self.add((trace_id, other, says))
        self.judge((trace_id, [number, other], 2))


async def until_kept(reader: Reader, days: DaysOfKey) -> None:
    while True:
        if len(await kept_days(reader, days)) == len(days.each()):
            return
        await asyncio.sleep(0.01)


@pytest.fixture
def requests(world: World) -> Requests:
    return Requests(world)


SAME: dict[str, Callable[[Requests], None]] = {
    "nothing happens": lambda _: None,
    "rows are merged": Requests.merge,
    "a request is stored again": lambda of: of.add(("t12", 12, "gold")),
}
CHANGES: dict[str, Callable[[Requests], None]] = {
    "a request comes late": lambda of: of.add(("new", 12, "gold")),
    "a request comes late that says something new": lambda of: of.add(("new", 12, "bronze")),
    "feedback comes": lambda of: of.judge(("t12", [12], 9)),
    "feedback comes on a trace that had none": lambda of: of.judge(("t13", [13], 2)),
    "feedback is taken back": lambda of: of.judge(("t12", [12], 0)),
    "feedback comes on a trace of several days": lambda of: of.judge(("long", [10, 30, 31], 7)),
    "a trace has a request on another day": lambda of: of.widen("t12", 12, 22, "gold"),
    "a trace has a request on a day that is not kept": lambda of: of.widen("t12", 12, 45, "silver"),
    "a trace is removed for its age": lambda of: of.judge(("t12", [12], 0), is_expired=1, **NO_DAYS),
    "a worker of an older version stores": lambda of: of.judge(("t12", [12], 4), **NO_DAYS),
    "such a worker stores a trace of several days": lambda of: of.judge(("long", [10, 30, 31], 4), **NO_DAYS),
    "requests are deleted": Requests.delete,
}


@pytest.mark.parametrize("happens", [*SAME, *CHANGES])
def test_an_answer_is_that_of_the_rows_whatever_happens_after_a_day_is_kept(
    requests: Requests, happens: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = requests.answer_of_rows(monkeypatch)
    requests.keep()
    assert requests.kept() == ALL_DAYS
    assert requests.answer() == before
    (SAME | CHANGES)[happens](requests)
    after = requests.answer_of_rows(monkeypatch)
    assert (after != before) == (happens in CHANGES)
    assert requests.answer() == after
    requests.keep()
    assert requests.kept() == ALL_DAYS
    assert requests.answer() == after


def test_a_time_of_whole_days_may_be_kept_as_a_whole(requests: Requests, monkeypatch: pytest.MonkeyPatch) -> None:
    requests.since, requests.until = (datetime.combine(day, time(), UTC) for day in (FIRST, END))
    before = requests.answer_of_rows(monkeypatch)
    requests.keep()
    assert requests.answer() == before


def test_a_change_leaves_the_other_days_as_they_are_kept(requests: Requests) -> None:
    requests.keep()
    requests.judge(("t12", [12], 9))
    assert requests.kept() == ALL_DAYS - {date(2026, 3, 2)}


def test_each_removal_is_seen_however_soon_it_follows_another(requests: Requests) -> None:
    """ClickHouse counts removals of each table by itself, and notes their time in seconds."""
    for _ in range(12):
        requests.delete()
        requests.keep()
        assert requests.kept() == ALL_DAYS
        requests.world.client.command(
            "ALTER TABLE feedback.trace_aggregate_rows DELETE WHERE workspace = {w:String} AND trace_id = 't12'",
            {"w": requests.workspace},
            settings={"mutations_sync": 2},
        )
        assert requests.kept() == set()
        requests.keep()


def test_nothing_counts_that_was_kept_of_a_table_that_stood_here_before(requests: Requests) -> None:
    """ClickHouse numbers the blocks of a table anew when it is restored from a backup."""
    name = f"earlier_{uuid.uuid4().hex}"
    ask = requests.world.client
    requests.keep()
    ask.command(f"CREATE TABLE feedback.{name} AS feedback.trace_aggregate_rows")
    ask.command(f"INSERT INTO feedback.{name} SELECT * FROM feedback.trace_aggregate_rows")
    ask.command(f"EXCHANGE TABLES feedback.{name} AND feedback.trace_aggregate_rows")
    try:
        assert requests.kept() == set()
        requests.keep()
        assert requests.kept() == ALL_DAYS
    finally:
        ask.command(f"EXCHANGE TABLES feedback.{name} AND feedback.trace_aggregate_rows")
        ask.command(f"DROP TABLE feedback.{name}")


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_is_stored_while_a_day_is_computed_is_seen(
    requests: Requests, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Reading(Reader):
        async def command(self, statement: str, parameters: Mapping[str, Any], seconds: float) -> None:
            if when == "before":
                requests.judge(("t12", [12], 9))
            await super().command(statement, parameters, seconds)
            if when == "after":
                requests.judge(("t12", [12], 9))

    requests.keep(Reading(requests.world.engines, 60))
    assert requests.kept() == ALL_DAYS - {date(2026, 3, 2)}
    assert requests.answer() == requests.answer_of_rows(monkeypatch)


def test_a_question_has_its_days_kept_for_the_next_one(world: World) -> None:
    since, until = date(2025, 10, 20), date(2025, 11, 10)
    days = DaysOfKey(KeyOfRequests("default", "_environment", "r._environment::String"), since, until)

    async def ask() -> None:
        app = queries_over(world.url)
        transport = httpx.ASGITransport(app)
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://a") as api:
            app.state.authenticator.mark_fresh(2**62)
            asked = {"time_of_generation_min": str(since), "time_of_generation_max": str(until)}
            answer = await api.get("/v1/analytics/groups/metadata/_environment", params=asked)
            assert answer.status_code == 200
            await asyncio.wait_for(until_kept(world.reader, days), 60)

    world.runner.run(ask())


def test_a_key_that_nobody_has_or_that_has_very_many_values_is_not_kept(
    requests: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert requests.groups().to_keep == DaysOfKey(requests.of, FIRST, END)
    assert requests.groups("nobody has it").to_keep is None
    monkeypatch.setattr(requests_by_metadata, "MOST_GROUPS", 2)
    assert requests.groups().to_keep is None


def test_nothing_is_kept_of_rows_that_a_command_has_removed(requests: Requests) -> None:
    requests.keep()
    of_trace = {"request_log_rows": "DELETE WHERE workspace = {w:String} AND trace_id = 't10'"}
    mutate(requests.world.client, of_trace, {"w": requests.workspace})
    assert requests.world.client.command("SELECT count() FROM feedback.request_day_sums") == 0
