"""Rows of one place under one version that say different things: whoever reads, the same one of them stands."""

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from query_api import trace_journal
from query_api.clickhouse import Engines, Reader
from query_api.filters.feedback_parameters import FeedbackFilters
from query_api.filters.parameters import LogFilters
from query_api.reading.feedback_page import feedback_page
from query_api.reading.request_order import RequestOrder
from query_api.reading.request_ranking import ranked_rows
from query_api.reading.request_rows import Row, current_page, current_request, log_rows
from query_api.reading.stored_feedback import read_stored
from query_api.reading.trace_feedback import feedback_totals, feedback_with_history
from query_api.reading.trace_summaries import summaries_with_pairs
from query_api.reading.traces import spans_of
from query_api.settings import QuerySettings
from query_api.trace_journal import MOST_ENTRIES, journal_beside, journal_of
from schemas.ids import trace_hash_of
from stream_workers.rollup.rollups import Hour, compute
from tests.pipeline.engines import clickhouse_with_tables
from tests.pipeline.stream_workers.rollup_groups import groups_of
from tests.pipeline.stream_workers.stored_histories import SETTINGS, store_histories

WORKSPACE, ALL = "w0", "FROM feedback.feedback_rows"
ANYTHING = ("value", "weight", "_user", "_organisation", "models", "metadata", "is_deleted")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with clickhouse_with_tables(tmp_path_factory.mktemp("ties") / "clickhouse") as address:
        yield address


def tie(client: Client, chance: random.Random, feedback_id: str, names: tuple[str, ...]) -> None:
    """Store a copy of the newest row of a feedback, under its version and in its place, with other things to say."""
    others: dict[str, str] = {
        "value": f"toInt8({chance.randint(-10, 10)})", "weight": f"toDecimal64({chance.randint(0, 10) / 10}, 9)",
        "_user": f"'{chance.choice('xyz')}'", "_organisation": f"'{chance.choice('xyz')}'",
        "models": str(chance.choice([["a"], ["a", "b"], ["a", "c"], ["z"]])), "metadata": "'{\"tie\": 1}'",
        "is_deleted": "toUInt8(1)",
    }  # fmt: skip
    replaced = ", ".join(
        f"{others[name]} AS {name}" for name in chance.sample(names, chance.randint(1, min(4, len(names))))
    )
    client.command(
        f"INSERT INTO feedback.feedback_rows SELECT * REPLACE ({replaced}) FROM feedback.feedback_rows"
        f" WHERE feedback_id = '{feedback_id}' ORDER BY version DESC LIMIT 1",
        settings=SETTINGS,
    )


async def test_of_rows_under_one_version_everybody_reads_the_same(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(7)
    with clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False) as client:
        store_histories(client, 1, workspaces=1, traces=6, events=50)
        ids = sorted(str(row[0]) for row in client.query(f"SELECT DISTINCT feedback_id {ALL}").result_rows)
        await compute_all(url, client)
        for n, names in enumerate((ANYTHING, ANYTHING[:1], ANYTHING[:3])):
            for _ in range(30):
                tie(client, chance, chance.choice(ids[n::3]), names)
        await compute_all(url, client)
        standing = client.query("SELECT * FROM feedback.feedback").named_results()
        rows = {str(row["feedback_id"]): row for row in standing}
        traces = {row[0] for row in client.query(f"SELECT DISTINCT trace_id {ALL}").result_rows}
        shown = {each: (row["value"], float(row["weight"]), row["_user"], row["models"]) for each, row in rows.items()}
        check_rollups(client, list(rows.values()))
    engines = Engines(QuerySettings(clickhouse_url=url))
    try:
        reader = engines.reader(30)
        listed = await feedback_page(reader, FeedbackFilters(LogFilters(WORKSPACE)), None, 1000)
        assert {each.id: (each.value, each.weight, each.user or "", each.models) for each in listed} == shown
        numbers = await summaries_with_pairs(reader, WORKSPACE, traces)
        pairs = {pair.id: (pair.value, pair.weight) for each in numbers.values() for pair in each.pairs}
        assert pairs == {each: row[:2] for each, row in shown.items() if rows[each]["trace_id"] in numbers}
        assert await receipts(reader, ids) == shown
        for most in (0, MOST_ENTRIES):
            monkeypatch.setattr(trace_journal, "MOST_ENTRIES", most)
            assert await on_traces(reader, traces) == shown
    finally:
        await engines.close()


async def test_of_differing_rows_of_one_request_everybody_reads_the_last(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False) as client:
        store_histories(client, 2, workspaces=1, traces=6, events=50)
        for share, model in ((2, "lost"), (2, "first"), (3, "second")):
            client.command(
                f"INSERT INTO feedback.request_log_rows SELECT * REPLACE ('{model}' AS model)"
                " FROM (SELECT * FROM feedback.request_log_rows FINAL"
                f" WHERE workspace = '{WORKSPACE}' AND cityHash64(request_id) % {share} = 0)",
                settings=SETTINGS,
            )
        current = "SELECT toString(request_id), trace_id, model, status FROM feedback.request_logs"
        rows = client.query(current).result_rows
        standing = client.query("SELECT toString(feedback_id), trace_id FROM feedback.feedback").result_rows
    shown = {request_id: model or None for request_id, _, model, _ in rows}
    models = ["lost", *filter(None, {*shown.values()})]
    assert {"first", "second"} < {*models}
    engines = Engines(QuerySettings(clickhouse_url=url))
    try:
        reader = engines.reader(30)
        for order in (RequestOrder(), RequestOrder("cost")):
            listed = await listed_requests(reader, LogFilters(WORKSPACE), order)
            assert {row["id"]: row["ai_model"] or None for row in listed} == shown
            for model in models:
                of_model = await listed_requests(reader, LogFilters(WORKSPACE, texts={"ai_model": (model,)}), order)
                assert {row["id"] for row in of_model} == {each for each, own in shown.items() if own == model}
        for model in models:
            # The status is asked for too, for else the models in the row of the feedback would answer.
            asked = LogFilters(WORKSPACE, texts={"ai_model": (model,)}, statuses=tuple({row[3] for row in rows}))
            found = await feedback_page(reader, FeedbackFilters(asked), None, 1000)
            traces = {trace for _, trace, said, _ in rows if said == model}
            assert {each.id for each in found} == {each for each, trace in standing if trace in traces}
        for most in (0, MOST_ENTRIES):
            monkeypatch.setattr(trace_journal, "MOST_ENTRIES", most)
            assert await requests_by_id(reader, [*shown]) == shown
            assert await spans(reader, {row[1] for row in rows}) == shown
    finally:
        await engines.close()


async def requests_by_id(reader: Reader, ids: list[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for identity in map(UUID, ids):
        journal = await journal_beside(reader, WORKSPACE, identity)
        row = await current_request(reader, WORKSPACE, identity, journal)
        found |= {row["id"]: row["ai_model"] or None} if row else {}
    return found


async def spans(reader: Reader, traces: set[str]) -> dict[str, str | None]:
    journals = {trace: await journal_of(reader, WORKSPACE, trace) for trace in traces}
    pages = [await spans_of(reader, WORKSPACE, trace, of, None, 100) for trace, of in journals.items()]
    return {span.id: span.ai_model for page in pages for span in page.data}


async def listed_requests(reader: Reader, filters: LogFilters, order: RequestOrder) -> list[Row]:
    async def sought(source: str) -> list[Row]:
        if order.is_newest_first:
            return await log_rows(reader, filters, None, 1000, source)
        return await ranked_rows(reader, filters, order, None, 1000, source)

    async def nothing(_: list[Row]) -> None:
        pass

    rows, _ = await current_page(reader, filters.workspace, sought, nothing)
    return rows


async def receipts(reader: Reader, ids: list[str]) -> dict[str, Any]:
    found = {each: (await read_stored(reader, WORKSPACE, each, trace_hash_of(UUID(each)))).row for each in ids}
    return {
        each: (row["value"], row["weight"], row["_user"], row["models"])
        for each, row in found.items()
        if row and not row["is_deleted"]
    }


async def on_traces(reader: Reader, traces: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for trace in traces:
        journal = await journal_of(reader, WORKSPACE, trace)
        told = await feedback_with_history(reader, WORKSPACE, trace, journal, None, 1000)
        standing = {each.id: each.feedback for _, each in told if each.feedback}
        totals = await feedback_totals(reader, WORKSPACE, trace, journal)
        assert (totals.total, totals.deleted) == (len(standing), len(told) - len(standing))
        found |= {each: (at.value, at.weight, at.user or "", at.models) for each, at in standing.items()}
    return found


async def compute_all(url: str, client: Client) -> None:
    hours = client.query(
        "SELECT DISTINCT workspace, toUnixTimestamp(hour) FROM feedback.feedback_hour_rows"
    ).result_rows
    asynchronous = await clickhouse_connect.get_async_client(dsn=url, autogenerate_session_id=False)
    try:
        await compute(asynchronous, [Hour(*row) for row in hours])
    finally:
        await asynchronous.close()


def check_rollups(client: Client, rows: list[dict[str, Any]]) -> None:
    groups: Counter[tuple[Any, ...]] = Counter()
    for row in rows:
        for dimension, key in groups_of(row):
            for period in ("hour", "day"):
                groups[period, dimension, row["_environment"], key, row["value"]] += 1
    found = client.query(
        "SELECT period, dimension, environment, key, value - 11, sum(number) FROM feedback.rollups"
        " ARRAY JOIN value_counts AS number, arrayEnumerate(value_counts) AS value WHERE number > 0 GROUP BY ALL"
    ).result_rows
    assert {tuple(row[:5]): row[5] for row in found} == groups
