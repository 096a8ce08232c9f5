"""Traces on which nothing has happened for long are removed whole, and whatever is read agrees at each moment."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from deploy import cli
from operations.connections import clickhouse, kafka
from operations.erase.events import wait_until_committed
from operations.expire import expiry, statements
from operations.expire.expiry import ExpiryTarget
from operations.progress import Progress
from schemas import ids
from schemas.murmur2 import murmur2
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS
from stream_workers.rollup.statements import STALE
from tests.pipeline.engines import PARTITIONS, until
from tests.pipeline.operations.test_erase import address
from tests.pipeline.running import Pipeline
from tests.pipeline.stream_workers.test_pipeline import a_trace

OLD = (datetime.now(UTC) - timedelta(days=45)).replace(minute=30)
KEEP = 8


def place_of(pipeline: Pipeline) -> ExpiryTarget:
    return ExpiryTarget(pipeline.engines.clickhouse, pipeline.engines.kafka, "feedback-workers")


class Past:
    """Events of long ago, written past the edge."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def feedback(self, trace_id: str, value: int, at: datetime = OLD) -> str:
        trace_hash = murmur2(ids.trace_key("default", trace_id))
        feedback_id = str(ids.new_id(trace_hash, int(at.timestamp() * 1000)))
        event = {
            "event": "create", "feedback_id": feedback_id, "trace_id": trace_id, "value": value, "weight": 1.0,
            "metadata": {}, "created_at": at.isoformat(),
        }  # fmt: skip
        self._write(FEEDBACK_EVENTS, trace_hash, event)
        return feedback_id

    def request(self, trace_id: str, at: datetime = OLD) -> str:
        trace_hash = murmur2(ids.trace_key("default", trace_id))
        request_id = str(ids.new_id(trace_hash, int(at.timestamp() * 1000)))
        times = {"started_at": at.isoformat(), "received_at": at.isoformat()}
        event = {"event": "request", "request_id": request_id, "trace_id": trace_id, "model": "m-old", "metadata": {}}
        self._write(REQUEST_LOGS, trace_hash, event | times)
        return request_id

    def _write(self, topic: str, trace_hash: int, event: dict[str, Any]) -> None:
        value = json.dumps({"workspace": "default", **event}).encode()
        self._pipeline.produce(topic, ids.partition_of(trace_hash, PARTITIONS), value)


@pytest.fixture
def past(pipeline: Pipeline) -> Past:
    return Past(pipeline)


def seen(pipeline: Pipeline, trace: str) -> dict[str, Any]:
    """What each way to read says of a trace."""

    def get(path: str) -> Any:
        reply = requests.get(f"{pipeline.url}{path}", timeout=30)
        return reply.json() if reply.status_code == 200 else {}

    aggregate, told = pipeline.aggregate(trace), get(f"/v1/traces/{trace}")
    logs = get(f"/v1/logs?trace_id={trace}")
    message = pipeline.topic("trace.aggregates.v1").get(f"default/{trace}") or {}
    rows = pipeline.sql("SELECT join_state FROM feedback.feedback WHERE trace_id = {t:String}", t=trace)
    return {
        "count": aggregate.get("feedback_count", 0),
        "mean": aggregate.get("mean_value_weight"),
        "requests": aggregate.get("requests", 0),
        "rows": sorted(row["join_state"] for row in rows),
        "listed": len(get(f"/v1/feedback?trace_id={trace}").get("data", [])),
        "trace": len(told.get("feedback", {}).get("data", [])) if told else 0,
        "logs": [each.get("feedback_count") for each in logs.get("data", [])],
        "message": message.get("feedback_count", 0),
    }


def in_hours(pipeline: Pipeline) -> int:
    hour = OLD.replace(minute=0, second=0, microsecond=0, tzinfo=None)
    return pipeline.count(
        "SELECT sum(feedback_count) FROM feedback.rollups"
        " WHERE period = 'hour' AND dimension = 'all' AND start = {s:DateTime}",
        s=hour,
    )


def books_are_right(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    until(pipeline.is_settled, "everything is committed")
    until(lambda: not pipeline.sql(STALE), "the rollups have caught up")
    capsys.readouterr()
    assert cli.main(["audit", *address(pipeline)]) == 0, capsys.readouterr()
    assert cli.main(["reconcile", "--settle", "0.5", *address(pipeline)[:2]]) == 0, capsys.readouterr()


NOTHING = {
    "count": 0, "mean": None, "requests": 0, "rows": [], "listed": 0, "trace": 0, "logs": [], "message": 0,
}  # fmt: skip


def test_a_trace_without_an_event_for_long_is_removed_whole_and_a_late_event_starts_it_anew(
    pipeline: Pipeline, past: Past, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, alive = a_trace(), a_trace()
    place, progress = place_of(pipeline), Progress()
    with pipeline.rollup():
        made = [past.feedback(trace, 10) for trace in (gone, gone, gone, alive, alive)]
        for trace in (gone, alive):
            past.request(trace)
        until(lambda: pipeline.aggregate(gone).get("feedback_count") == 3, "all is stored")
        until(lambda: pipeline.aggregate(alive).get("requests") == 1, "all is stored")
        edit = requests.put(f"{pipeline.url}/v1/feedback/{made[3]}", json={"value": 8}, timeout=30)
        assert edit.status_code == 200
        until(lambda: pipeline.stored(made[3]).get("value") == 8, "the edit is stored")
        until(lambda: in_hours(pipeline) == 5, "hours say what was given")
        before = seen(pipeline, alive)
        assert before["count"] == before["listed"] == before["trace"] == before["message"] == 2

        idle_since = int(time.time()) - KEEP * 86_400
        until(lambda: expiry.count_due_traces(place, idle_since) == 1, "workers have committed what is due")
        with clickhouse(place.clickhouse_url) as client:
            assert expiry._send_expire_events(client, place, idle_since, progress) == 1
        kafka(place.bootstrap, wait_until_committed(place.bootstrap, place.group, 60, progress))
        # Before anything is removed for good: the request is still listed, nothing of the feedback is.
        assert seen(pipeline, gone) == {**NOTHING, "logs": [0]}
        assert seen(pipeline, alive) == before
        books_are_right(pipeline, capsys)
        assert pipeline.topic("feedback.enriched.v1")[made[0]] is None
        # A second pass at the same time has emptied the list of the first while that was at the rows of requests.
        with clickhouse(place.clickhouse_url) as client:
            parameters = expiry._positions(client, place).parameters()
            client.command(statements.NOTE_RECORDS, parameters=parameters)
            client.command(statements.NOTE_EXPIRING, parameters=parameters)
            expiry._delete(client, {"journal": statements.JOURNAL}, parameters, progress)
        assert seen(pipeline, gone) == {**NOTHING, "logs": [0]}
        monkeypatch.setenv("FEEDBACK_KEEP_TRACES_DAYS", str(KEEP))
        assert cli.main(["expire", *address(pipeline)]) == 0
        assert seen(pipeline, gone) == NOTHING
        assert seen(pipeline, alive) == before
        left = "SELECT count() FROM feedback.journal WHERE kind != 'expiry' AND id IN {i:Array(UUID)}"
        assert pipeline.count(left, i=made[:3]) == 0
        assert requests.get(f"{pipeline.url}/v1/feedback/{made[0]}", timeout=30).status_code == 404
        assert in_hours(pipeline) == 5
        books_are_right(pipeline, capsys)

        pipeline.workers[-1].stop()
        pipeline.add_worker()
        late = pipeline.feedback(gone, -10)
        requests.put(f"{pipeline.url}/v1/feedback/{made[0]}", json={"value": 1}, timeout=30).raise_for_status()
        until(lambda: pipeline.stored(late) != {}, "the late feedback is stored")
        assert seen(pipeline, gone) == {
            "count": 1, "mean": -10, "requests": 0, "rows": ["pending"], "listed": 1, "trace": 1, "logs": [],
            "message": 1,
        }  # fmt: skip
        pipeline.feedback(alive, -10)
        until(lambda: pipeline.aggregate(alive).get("feedback_count") == 3, "the other trace goes on")
        assert pipeline.aggregate(alive)["value_weight_sum"] == 8 + 10 - 10

        def read_receipt() -> dict[str, Any]:
            return dict(requests.get(f"{pipeline.url}/v1/feedback/{made[0]}", timeout=30).json())

        until(lambda: read_receipt().get("status") == "dead", "an edit of what is gone says so")
        assert "or its trace was removed after FEEDBACK_KEEP_TRACES_DAYS" in read_receipt()["detail"]
        assert in_hours(pipeline) == 5
        books_are_right(pipeline, capsys)
