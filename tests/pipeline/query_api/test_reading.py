"""Feedback, requests and traces read back over HTTP: the numbers are those of what was sent, and of one workspace."""

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
import requests
from aiokafka import AIOKafkaProducer

from query_api.filters.feedback_parameters import FeedbackFilters
from query_api.filters.parameters import LogFilters
from query_api.reading.feedback_page import feedback_query
from schemas.events import FeedbackCreated, RequestLogged
from schemas.ids import new_id, partition_of, trace_key
from schemas.murmur2 import murmur2
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS
from tests.pipeline.engines import PARTITIONS, until
from tests.pipeline.running import Pipeline
from tests.pipeline.sql_data import DataSet, Given, Served, invented, send, total
from tests.pipeline.stream_workers.test_pipeline import a_trace
from tests.pipeline.test_sql_doc import shows

Item = dict[str, Any]


def ask(pipeline: Pipeline, path: str, **query: Any) -> requests.Response:
    return requests.get(f"{pipeline.url}{path}", params=query, timeout=30)


def answer(pipeline: Pipeline, path: str, **query: Any) -> Item:
    reply = ask(pipeline, path, **query)
    assert reply.status_code == 200, reply.text
    told: Item = reply.json()
    return told


def pages(pipeline: Pipeline, path: str, **query: Any) -> Iterator[list[Item]]:
    cursor: Item = {}
    while True:
        page = answer(pipeline, path, **query, **cursor)
        yield page["data"]
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}


def listed(pipeline: Pipeline, path: str, **query: Any) -> list[Item]:
    return [item for page in pages(pipeline, path, **query) for item in page]


def on_trace(trace: str) -> str:
    return f"/v1/traces/{quote(trace, safe='')}"


@pytest.fixture(scope="module")
def data(pipeline: Pipeline) -> DataSet:
    sent = invented(f"read-{uuid.uuid4().hex[:12]}")
    send(pipeline, sent)
    until(lambda: shows(pipeline, sent), "the views show all that was sent")
    return sent


def own_traces(data: DataSet) -> str:
    """The filter that leaves out what other tests have sent."""
    return ",".join({*(each.trace for each in data.given), *(each.trace for each in data.served)})


def state(data: DataSet, given: Given) -> str:
    if data.requests_of(given.trace):
        return "joined"
    return "orphaned" if data.now - given.at > timedelta(days=7) else "pending"


FEEDBACK_FILTERS: dict[str, tuple[Callable[[DataSet], Item], Callable[[DataSet, Given], bool]]] = {
    "all": (lambda data: {}, lambda data, each: True),
    "user": (lambda data: {"user": "u1"}, lambda data, each: data.special(each, "_user") == "u1"),
    "two prompts": (
        lambda data: {"prompt_slug": "p1,p-edited"},
        lambda data, each: data.special(each, "_prompt") in ("p1", "p-edited"),
    ),
    "organisation": (
        lambda data: {"organisation": "o2"},
        lambda data, each: data.special(each, "_organisation") == "o2",
    ),
    "environment": (
        lambda data: {"environment": "sandbox"},
        lambda data, each: data.special(each, "_environment") == "sandbox",
    ),
    "time": (
        lambda data: {
            "time_of_generation_min": (data.now - timedelta(days=10)).isoformat(),
            "time_of_generation_max": (data.now - timedelta(days=2)).isoformat(),
        },
        lambda data, each: timedelta(days=2) < data.now - each.at <= timedelta(days=10),
    ),
    **{
        name: (
            lambda data, name=name: {"join_state": name},  # type: ignore[misc]
            lambda data, each, name=name: state(data, each) == name,  # type: ignore[misc]
        )
        for name in ("pending", "joined", "orphaned")
    },
}


@pytest.mark.parametrize("name", FEEDBACK_FILTERS)
def test_feedback_is_listed_by_what_is_asked_of_it_newest_first(pipeline: Pipeline, data: DataSet, name: str) -> None:
    query, holds = FEEDBACK_FILTERS[name]
    wanted = {str(each.id): each for each in data.given if holds(data, each)}
    items = listed(pipeline, "/v1/feedback", trace_id=own_traces(data), page_size=7, **query(data))
    assert wanted, "the data set does not try this filter"
    assert len(items) == len(wanted)
    assert {item["id"] for item in items} == wanted.keys()
    times = [datetime.fromisoformat(item["created_at"]) for item in items]
    assert times == sorted(times, reverse=True)
    for item in items:
        given = wanted[item["id"]]
        assert (item["value"], item["weight"], item["metadata"]) == (given.value, float(given.weight), given.metadata)
        assert (item["trace_id"], item["join_state"], item["models"]) == (
            given.trace,
            state(data, given),
            data.models(given),
        )
        assert (item["_user"] or "") == data.special(given, "_user")
        assert datetime.fromisoformat(item["created_at"]) == given.at


def test_pages_tell_each_item_of_one_moment_once_while_more_comes_in(pipeline: Pipeline) -> None:
    trace = a_trace()
    ids = pipeline.post("/v1/feedback", [{"trace_id": trace, "value": n % 11} for n in range(30)])
    until(lambda: len(listed(pipeline, "/v1/feedback", trace_id=trace)) == 30, "all is stored")
    told = []
    for number, page in enumerate(pages(pipeline, "/v1/feedback", trace_id=trace, page_size=7)):
        told += page
        pipeline.feedback(trace, 1)
        until(lambda n=number: pipeline.aggregate(trace)["feedback_count"] == 31 + n, "more is stored")  # type: ignore[misc]
    assert sorted(item["id"] for item in told) == sorted(ids)
    assert len({item["created_at"] for item in told}) == 1


def mean(data: DataSet, trace: str) -> Decimal | None:
    group = data.by_trace().get(trace)
    return total(group) / len(group) if group else None


LOG_FILTERS: dict[str, tuple[Item, Callable[[DataSet, Served], bool]]] = {
    "all": ({}, lambda data, each: True),
    "model": ({"ai_model": "model-1"}, lambda data, each: each.model == "model-1"),
    "provider": ({"ai_org": "p", "status_code": "200"}, lambda data, each: True),
    "cost": (
        {"cost_min": "0.2", "cost_max": "1"},
        lambda data, each: each.cost is not None and 0.2 <= each.cost <= 1,
    ),
    "tokens": ({"total_units_min": "1000"}, lambda data, each: each.tokens == 4000),
    "user": ({"user": "u2"}, lambda data, each: each.metadata.get("_user") == "u2"),
    "metadata": (
        {"metadata": '{"_environment": "staging"}'},
        lambda data, each: each.metadata.get("_environment") == "staging",
    ),
    "feedback": (
        {"weighted_feedback_min": "-1", "weighted_feedback_max": "1"},
        lambda data, each: (of_trace := mean(data, each.trace)) is not None and -1 <= of_trace <= 1,
    ),
}


@pytest.mark.parametrize("name", LOG_FILTERS)
def test_requests_are_listed_with_the_feedback_of_their_traces(pipeline: Pipeline, data: DataSet, name: str) -> None:
    query, holds = LOG_FILTERS[name]
    wanted = [(each.at, each.trace, each.model, each.cost, each.tokens) for each in data.served if holds(data, each)]
    rows = listed(pipeline, "/v1/logs", trace_id=own_traces(data), page_size=9, **query)
    assert wanted, "the data set does not try this filter"
    fields = ("trace_id", "ai_model", "cost", "total_units")
    shown = [(datetime.fromisoformat(row["created_at"]), *(row[name] for name in fields)) for row in rows]
    assert sorted(map(str, shown)) == sorted(map(str, wanted))
    assert [at for at, *_ in shown] == sorted((at for at, *_ in wanted), reverse=True)
    given = data.by_trace()
    for row in rows:
        group = given.get(row["trace_id"], [])
        weight = sum((each.weight for each in group), Decimal(0))
        assert row["feedback_count"] == len(group)
        assert row["mean_value_weight"] == (float(total(group) / len(group)) if group else None)
        assert row["weighted_mean"] == (float(total(group) / weight) if weight else None)
        pairs = {(pair["id"], pair["value"], pair["weight"]) for pair in row["feedback"]}
        assert pairs == {(str(each.id), each.value, float(each.weight)) for each in group}
        assert "request" not in row


def test_pairs_are_bounded_and_their_count_is_not(pipeline: Pipeline) -> None:
    trace = a_trace()
    pipeline.request(trace)
    pipeline.post("/v1/feedback", [{"trace_id": trace, "value": 1}] * 30)
    newest = pipeline.feedback(trace, -9, 0.25)
    until(lambda: pipeline.aggregate(trace).get("feedback_count") == 31, "all is stored")
    until(lambda: listed(pipeline, "/v1/logs", trace_id=trace), "the request is stored")
    (row,) = listed(pipeline, "/v1/logs", trace_id=trace)
    assert (row["feedback_count"], len(row["feedback"])) == (31, 20)
    assert row["feedback"][0] == {"id": newest, "value": -9, "weight": 0.25}
    one = answer(pipeline, f"/v1/logs/{row['id']}")
    assert (one["feedback_count"], len(one["feedback"]), one["feedback"][0]["id"]) == (31, 31, newest)


def test_one_request_is_read_back_whole_with_its_feedback(pipeline: Pipeline) -> None:
    trace = a_trace()
    asked = {"model": "m-1", "messages": [{"content": 'h\u00e9 \\ "quoted"\n'}], "seed": 2**70}
    answered = {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 34}}
    (log,) = pipeline.post(
        "/v1/logs",
        {
            "request": {
                "url": "https://me:pw@provider.example/v1/chat?key=s3cret&page=1",
                "provider": "openai",
                "headers": {"Authorization": "Bearer s3cret", "accept": "*/*"},
                "body": asked,
            },
            "response": {"status": 429, "response_time": 412.5, "headers": {"Set-Cookie": "s3cret"}, "body": answered},
            "metadata": {"trace_id": trace, "span_id": "s", "_prompt": "p-1", "_user": "ada", "n": [1]},
            "cost": 0.25,
            "start_time": "2026-01-31T12:00:00.123Z",
        },
    )
    kept = pipeline.feedback(trace, 5, 0.5, text="good")
    until(lambda: pipeline.stored(kept).get("join_state") == "joined", "the feedback is joined")
    reply = ask(pipeline, f"/v1/logs/{log}")
    told = reply.json()
    assert "s3cret" not in reply.text
    assert told["request"] == {
        "url": "https://[redacted]@provider.example/v1/chat?key=[redacted]&page=1",
        "method": "post",
        "provider": "openai",
        "headers": {"Authorization": "[redacted]", "accept": "*/*"},
        "body": asked,
    }
    headers = {"Set-Cookie": "[redacted]"}
    assert told["response"] == {"status": 429, "response_time": 412.5, "headers": headers, "body": answered}
    wanted = {
        "id": log, "trace_id": trace, "span_id": "s", "parent_span_id": None, "ai_org": "openai", "ai_model": "m-1",
        "req_units": 12, "res_units": 34, "total_units": 46, "cost": 0.25, "response_status_code": 429,
        "response_time": 412.5, "prompt_slug": "p-1", "_user": "ada", "_organisation": None, "feedback_count": 1,
        "mean_value_weight": 2.5, "weighted_mean": 5.0, "created_at": "2026-01-31T12:00:00.123000Z",
    }  # fmt: skip
    assert {name: told[name] for name in wanted} == wanted
    assert told["metadata"]["n"] == [1]
    (feedback,) = told["feedback"]
    assert (feedback["id"], feedback["value"], feedback["metadata"]) == (kept, 5, {"text": "good"})


ODD = "a/b//c?d=%2F&e#f \u00e9\U0001f600\\'\"\t+;\n"


def test_a_trace_of_any_name_shows_its_tree_and_all_that_happened_to_its_feedback(pipeline: Pipeline) -> None:
    trace = f"{ODD}{uuid.uuid4()}/\n"

    def log(span: str, parent: str, second: int) -> Item:
        return {
            **{"request": {"body": {"model": span}}, "response": {}, "trace_id": trace, "span_id": span},
            **{"parent_span_id": parent, "start_time": f"2026-01-31T12:00:0{second}Z"},
        }

    sent = [log("leaf", "child", 3), log("root", "", 0), log("late", "root", 2), log("child", "root", 1)]
    pipeline.post("/v1/logs", [*sent, log("lost", "gone", 4), log("x", "y", 5), log("y", "x", 6)])
    kept, gone = pipeline.feedback(trace, 5, 0.5, text="good"), pipeline.feedback(trace, 1, _user="u")
    changed = requests.put(f"{pipeline.url}/v1/feedback/{kept}", json={"value": -3}, timeout=30)
    deleted = requests.delete(f"{pipeline.url}/v1/feedback/{gone}", timeout=30)
    assert changed.ok
    assert deleted.ok
    until(lambda: pipeline.aggregate(trace).get("value_last") == -3, "the edit shows")
    until(lambda: pipeline.aggregate(trace)["feedback_count"] == 1, "the other one is gone")
    until(lambda: answer(pipeline, on_trace(trace))["spans"]["total"] == 7, "all requests are stored")

    told = answer(pipeline, on_trace(trace))
    assert (told["trace_id"], told["join_state"]) == (trace, "joined")
    tree = [(span["span_id"], span["depth"]) for span in told["spans"]["data"]]
    assert tree == [("root", 0), ("child", 1), ("leaf", 2), ("late", 1), ("lost", 0), ("x", 0), ("y", 1)]
    numbers = told["aggregates"]
    assert (numbers["feedback_count"], numbers["weight_sum"], numbers["value_weight_sum"]) == (1, 0.5, -1.5)
    assert (numbers["mean_value_weight"], numbers["weighted_mean"], numbers["value_min"]) == (-1.5, -3.0, -3)
    feedback = {each["id"]: each for each in told["feedback"]["data"]}
    assert (told["feedback"]["total"], told["feedback"]["deleted"], feedback.keys()) == (1, 1, {kept, gone})
    assert feedback[kept]["feedback"]["value"] == -3
    assert feedback[kept]["feedback"]["join_state"] == "joined"
    assert (feedback[gone]["status"], feedback[gone]["feedback"]) == ("deleted", None)
    histories = {
        identity: [(each["event"], each["value"], each["weight"], each["metadata"]) for each in known["history"]]
        for identity, known in feedback.items()
    }
    assert histories == {
        kept: [("create", 5, 0.5, {"text": "good"}), ("update", -3, None, None)],
        gone: [("create", 1, 1.0, {"_user": "u"}), ("delete", None, None, None)],
    }
    assert [feedback[each]["events"] for each in (kept, gone)] == [2, 2]
    # Slashes may also stay as they are.
    assert answer(pipeline, f"/v1/traces/{quote(trace)}")["trace_id"] == trace


def parts_of_trace(pipeline: Pipeline, trace: str, part: str, cursor: str) -> Iterator[Item]:
    """All spans or all feedback of a trace, page by page; the totals must be the same beside each."""
    place: Item = {}
    while True:
        page = answer(pipeline, on_trace(trace), page_size=10, **place)
        assert (page["spans"]["total"], page["feedback"]["total"], page["feedback"]["deleted"]) == (25, 22, 1)
        yield from page[part]["data"]
        if page[part]["next_cursor"] is None:
            return
        place = {cursor: page[part]["next_cursor"]}


def test_a_long_trace_comes_in_pages_with_exact_totals(pipeline: Pipeline) -> None:
    trace = a_trace()
    body = {"request": {}, "response": {}, "trace_id": trace}
    logs = pipeline.post("/v1/logs", [body] * 25)
    ids = pipeline.post("/v1/feedback", [{"trace_id": trace, "value": 1}] * 23)
    for _ in range(25):
        requests.put(f"{pipeline.url}/v1/feedback/{ids[0]}", json={"value": 2}, timeout=30).raise_for_status()
    requests.delete(f"{pipeline.url}/v1/feedback/{ids[1]}", timeout=30).raise_for_status()
    until(pipeline.is_settled, "the workers have processed everything")
    seen = {
        part: list(parts_of_trace(pipeline, trace, part, cursor))
        for part, cursor in (("spans", "span_cursor"), ("feedback", "feedback_cursor"))
    }
    assert sorted(each["id"] for each in seen["spans"]) == sorted(logs)
    assert sorted(each["id"] for each in seen["feedback"]) == sorted(ids)
    edited = next(each for each in seen["feedback"] if each["id"] == ids[0])
    assert (edited["events"], len(edited["history"]), edited["history"][-1]["event"]) == (26, 20, "update")


def test_a_repeated_create_or_delete_shows_nowhere_and_stands_in_the_books(pipeline: Pipeline) -> None:
    trace = a_trace()
    key = {"Idempotency-Key": uuid.uuid4().hex}

    def create() -> str:
        body = {"trace_id": trace, "value": 1, "metadata": {"_user": "u"}}
        reply = requests.post(f"{pipeline.url}/v1/feedback", json=body, headers=key, timeout=30)
        assert reply.ok
        return str(reply.json()["feedback_ids"][0])

    def settled_item() -> Item:
        until(pipeline.is_settled, "the workers have processed everything")
        return answer(pipeline, on_trace(trace))

    kept, _, gone = create(), pipeline.feedback(trace, 7), pipeline.feedback(trace, 3)
    requests.delete(f"{pipeline.url}/v1/feedback/{gone}", timeout=30).raise_for_status()
    before = settled_item()
    assert before["aggregates"]["value_last"] == 7
    assert create() == kept
    requests.delete(f"{pipeline.url}/v1/feedback/{gone}", timeout=30).raise_for_status()
    assert settled_item() == before
    assert pipeline.accounted() == pipeline.accepted()
    of_journal = "SELECT count() FROM feedback.journal FINAL WHERE id IN {ids:Array(UUID)}"
    assert pipeline.count(of_journal, ids=[kept, gone]) == 5


@pytest.mark.parametrize(
    ("path", "query", "status", "param"),
    [
        ("/v1/feedback", {"cursor": "nonsense"}, 400, "cursor"),
        ("/v1/feedback", {"page_size": "101"}, 400, "page_size"),
        ("/v1/feedback", {"join_state": "lost"}, 400, "join_state"),
        ("/v1/feedback", {"usr": "u"}, 400, "usr"),
        ("/v1/feedback", {"time_of_generation_min": "soon"}, 400, "time_of_generation_min"),
        ("/v1/logs", {"cursor": "f" + "A" * 32}, 400, "cursor"),
        ("/v1/logs", {"metadata": "{"}, 400, "metadata"),
        ("/v1/logs", {"join_state": "joined"}, 400, "join_state"),
        ("/v1/logs/not-an-id", {}, 404, "log_id"),
        ("/v1/logs/01970000-0000-8000-8000-9b11edf90000", {}, 404, "log_id"),
        ("/v1/traces/there is none", {}, 404, "trace_id"),
        ("/v1/traces/", {}, 404, "trace_id"),
        ("/v1/traces/t", {"cursor": "s"}, 400, "cursor"),
        ("/v1/traces/t", {"span_cursor": "x"}, 400, "span_cursor"),
        ("/v1/traces/t", {"feedback_cursor": "x"}, 400, "feedback_cursor"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_its_name(
    pipeline: Pipeline, path: str, query: Item, status: int, param: str
) -> None:
    reply = ask(pipeline, path, **query)
    assert (reply.status_code, reply.json()["error"]["param"]) == (status, param)


def test_nothing_of_another_workspace_is_ever_told(pipeline: Pipeline) -> None:
    """Both workspaces have a trace of this name; the other one's comes over the same topics."""
    trace = a_trace()
    mine, my_log = pipeline.feedback(trace, 5), pipeline.request(trace, "mine")
    theirs, their_log = asyncio.run(other_workspace(pipeline, trace))
    until(pipeline.is_settled, "the workers have processed everything")
    stored = pipeline.sql("SELECT workspace FROM feedback.feedback WHERE trace_id = {t:String}", t=trace)
    assert {row["workspace"] for row in stored} == {"default", "other"}

    assert [item["id"] for item in listed(pipeline, "/v1/feedback", trace_id=trace)] == [mine]
    (row,) = listed(pipeline, "/v1/logs", trace_id=trace, weighted_feedback_min="5")
    assert (row["id"], row["feedback_count"], row["mean_value_weight"]) == (my_log, 1, 5)
    assert [pair["id"] for pair in row["feedback"]] == [mine]
    assert listed(pipeline, "/v1/logs", trace_id=trace, weighted_feedback_max="0") == []
    assert listed(pipeline, "/v1/logs", trace_id=trace, metadata='{"_user": "theirs"}') == []
    told = answer(pipeline, on_trace(trace))
    assert (told["aggregates"]["feedback_count"], told["feedback"]["total"], told["spans"]["total"]) == (1, 1, 1)
    assert [span["id"] for span in told["spans"]["data"]] == [my_log]
    assert [(each["id"], len(each["history"])) for each in told["feedback"]["data"]] == [(mine, 1)]
    assert [each["id"] for each in answer(pipeline, f"/v1/logs/{my_log}")["feedback"]] == [mine]
    assert ask(pipeline, f"/v1/logs/{their_log}").status_code == 404
    assert ask(pipeline, f"/v1/feedback/{theirs}").status_code == 404
    asyncio.run(other_workspace(pipeline, f"{trace}-theirs"))
    until(pipeline.is_settled, "the workers have processed everything")
    assert ask(pipeline, f"/v1/traces/{trace}-theirs").status_code == 404


async def other_workspace(pipeline: Pipeline, trace: str) -> tuple[str, str]:
    """Feedback and a request in the workspace `other`, as an edge of theirs would publish them; their ids."""
    key, now = trace_key("other", trace), datetime.now(UTC)
    trace_hash = murmur2(key)
    feedback, request = (str(new_id(trace_hash, int(now.timestamp() * 1000))) for _ in range(2))
    common: Item = {"workspace": "other", "trace_id": trace, "metadata": {"_user": "theirs"}, "_user": "theirs"}
    created = FeedbackCreated(
        event="create", feedback_id=feedback, value=-10, weight=1, home_environment="", created_at=now, **common
    )
    logged = RequestLogged(event="request", request_id=request, started_at=now, received_at=now, **common)
    producer = AIOKafkaProducer(bootstrap_servers=pipeline.engines.kafka, acks="all")
    await producer.start()
    try:
        for topic, event in ((FEEDBACK_EVENTS, created), (REQUEST_LOGS, logged)):
            value = json.dumps(json.loads(event.model_dump_json(by_alias=True))).encode()
            await producer.send_and_wait(topic, value, key, partition_of(trace_hash, PARTITIONS))
    finally:
        await producer.stop()
    return feedback, request


@pytest.mark.parametrize(
    ("texts", "join_state"),
    [
        ({"trace_id": ("none-has-this",)}, None),
        ({"user": ("none-has-this",)}, None),
        ({"organisation": ("none-has-this",)}, None),
        ({"prompt_slug": ("none-has-this",)}, None),
        ({"environment": ("none-has-this",)}, None),
        ({}, "orphaned"),
    ],
)
def test_every_filter_of_feedback_keeps_from_reading_everything(
    pipeline: Pipeline, data: DataSet, texts: dict[str, tuple[str, ...]], join_state: Any
) -> None:
    def granules(filters: LogFilters, state: Any) -> int:
        query, parameters = feedback_query(FeedbackFilters(filters, state), None, 51)
        plan = pipeline.sql_client.query(f"EXPLAIN indexes = 1 {query}", parameters).result_rows
        chosen = [line.split("Granules:")[1].split("/")[0] for (line,) in plan if "Granules:" in line]
        return int(chosen[-1]) if chosen else 0

    assert granules(LogFilters("default", texts=texts), join_state) < granules(LogFilters("default"), None)
