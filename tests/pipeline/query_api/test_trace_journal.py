"""What is read with the journal of a trace at hand is what ClickHouse finds by itself in its journal."""

import json
import random
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import clickhouse_connect
import pytest
from aiokafka.structs import ConsumerRecord
from clickhouse_connect.driver.client import Client

from query_api.clickhouse import Engines, Reader
from query_api.exact_quotients import float_of, quotient, quotient_of
from query_api.reading.feedback_page import feedback_on
from query_api.reading.request_rows import current_request
from query_api.reading.trace_feedback import feedback_totals, feedback_with_history
from query_api.reading.traces import spans_of
from query_api.settings import QuerySettings
from query_api.trace_journal import MOST_ENTRIES, TraceJournal, journal_beside, journal_of
from schemas.ids import new_id, trace_key
from schemas.murmur2 import murmur2
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS
from tests.pipeline.engines import clickhouse_with_tables
from tests.pipeline.stream_workers.stored_histories import store_histories, store_records

ODD = "o'\\r\t\"[g,(é\n"
Event = dict[str, Any]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with clickhouse_with_tables(tmp_path_factory.mktemp("trace-journal") / "clickhouse") as address:
        yield address


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False) as connected:
        yield connected


@pytest.fixture
async def reader(url: str) -> AsyncIterator[Reader]:
    engines = Engines(QuerySettings(clickhouse_url=url))
    yield engines.reader(30)
    await engines.close()


async def test_any_trace_is_told_alike_by_keys_and_by_look_ups(client: Client, reader: Reader) -> None:
    store_histories(client, 5, workspaces=2, traces=5, events=150)
    store(client, *odd_events("odd"))
    for workspace in ("w0", "w1"):
        traces = [row[0] for row in rows_of(client, "DISTINCT trace_id", workspace)]
        histories = 0
        for trace in traces:
            known = await journal_of(reader, workspace, trace)
            assert known.entries
            told = await all_of(reader, workspace, trace, known)
            assert told == await all_of(reader, workspace, trace, TraceJournal(known.hashes, None))
            histories += sum(each.events for _, each in told[0])
        assert histories > len(traces)


async def all_of(reader: Reader, workspace: str, trace: str, journal: TraceJournal) -> tuple[Any, ...]:
    feedback = await feedback_with_history(reader, workspace, trace, journal, None, 1000)
    page = await feedback_with_history(reader, workspace, trace, journal, None, 2)
    assert page == feedback[:2]
    spans = await spans_of(reader, workspace, trace, journal, None, 100)
    short = await spans_of(reader, workspace, trace, journal, None, 1)
    assert short.total == spans.total
    requests = [await current_request(reader, workspace, UUID(each.id), journal) for each in spans.data]
    assert None not in requests
    totals = await feedback_totals(reader, workspace, trace, journal)
    assert totals.total + totals.deleted == len(feedback)
    return feedback, spans, requests, totals, await feedback_on(reader, workspace, trace, journal, 50)


def odd_events(trace: str) -> list[Event]:
    """A request, and feedback whose place and time are hard to write."""
    hashed = murmur2(trace_key("w0", trace))
    common, at = {"workspace": "w0", "trace_id": trace}, "2026-03-01T12:00:00.1239999+02:00"
    feedback = {"event": "create", "value": 1, "weight": 0.1, "metadata": {}, "created_at": at, **common}
    places: list[Event] = [
        {},
        {"_organisation": ODD, "home_environment": ODD},
        {"_organisation": "", "home_environment": ""},
    ]
    made = [{**feedback, **place, "feedback_id": str(new_id(hashed, n))} for n, place in enumerate(places)]
    request = {
        "event": "request", "request_id": str(new_id(hashed, 9)), "started_at": at, "received_at": at, "metadata": {},
        **common,
    }  # fmt: skip
    return [*made, request]


def store(client: Client, *events: Event, first: int = 0) -> None:
    logs: dict[str, list[Any]] = {FEEDBACK_EVENTS: [], REQUEST_LOGS: []}
    for each in events:
        topic = REQUEST_LOGS if each["event"] == "request" else FEEDBACK_EVENTS
        value = json.dumps(each).encode()
        offset = 1_000_000 + first + len(logs[topic])
        logs[topic].append(ConsumerRecord(topic, 0, offset, 0, 0, b"k", value, None, 1, len(value), ()))
    store_records(client, logs)


def rows_of(client: Client, columns: str, workspace: str) -> Any:
    query = f"SELECT {columns} FROM feedback.feedback WHERE workspace = {{workspace:String}}"
    return client.query(query, {"workspace": workspace}).result_rows


async def test_the_entries_of_a_long_trace_are_left_to_clickhouse(client: Client, reader: Reader) -> None:
    hashed = murmur2(trace_key("w0", "long"))
    create = {**odd_events("long")[0], "feedback_id": str(new_id(hashed, 1))}
    update = {"event": "update", "workspace": "w0", "feedback_id": create["feedback_id"]}
    edits = [{**update, "value": 0, "updated_at": "2026-03-02T12:00:00Z"} for _ in range(MOST_ENTRIES)]
    store(client, create, *edits[1:], first=10_000)
    assert (await journal_of(reader, "w0", "long")).entries is not None
    store(client, create, *edits, first=10_000)
    journal = await journal_beside(reader, "w0", UUID(create["feedback_id"]))
    assert journal.entries is None
    ((_, told),) = await feedback_with_history(reader, "w0", "long", journal, None, 10)
    assert (told.events, len(told.history)) == (MOST_ENTRIES + 1, 20)


async def test_what_came_after_the_look_into_the_journal_is_in_the_history_of_the_row_that_tells_it(
    client: Client, reader: Reader
) -> None:
    create, *_, request = odd_events("edited")
    store(client, request, first=90_000)
    store(client, create, first=20_000)
    before = await journal_of(reader, "w0", "edited")
    update = {"event": "update", "workspace": "w0", "feedback_id": create["feedback_id"], "value": 7}
    store(client, create, {**update, "updated_at": "2026-03-02T12:00:00Z"}, first=20_000)
    ((_, told),) = await feedback_with_history(reader, "w0", "edited", before, None, 10)
    assert told.feedback
    assert (told.feedback.value, [each.value for each in told.history]) == (7, [1, 7])


def test_quotients_in_python_are_those_of_clickhouse(client: Client) -> None:
    chance = random.Random(3)
    sums = [Decimal(chance.randint(-(10**digits), 10**digits)).scaleb(-9) for digits in range(1, 20) for _ in range(20)]
    pairs = [(each, chance.choice(sums) or Decimal(1)) for each in sums]
    told = client.query(
        f"SELECT t, d, toFloat64(t), {quotient('t', 'd')} FROM ("
        "SELECT toDecimal128(pair.1, 9) AS t, toDecimal128(pair.2, 9) AS d"
        " FROM (SELECT arrayJoin({pairs:Array(Tuple(String, String))}) AS pair))",
        {"pairs": [(f"{total:f}", f"{divisor:f}") for total, divisor in pairs]},
    ).result_rows
    assert [row[:2] for row in told] == pairs
    assert [row[2:] for row in told] == [(float_of(total), quotient_of(total, divisor)) for total, divisor, *_ in told]
