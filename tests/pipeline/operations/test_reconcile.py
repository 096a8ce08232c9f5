"""What is stored is compared with what was accepted; each kind of difference is found, told, and put right."""

import asyncio
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import clickhouse_connect
import pytest
import requests
from clickhouse_connect.driver.client import Client

from deploy import cli
from tests.pipeline.engines import embedded, until
from tests.pipeline.running import Pipeline, roll_up
from tests.pipeline.stream_workers.test_pipeline import a_trace
from tests.tries import TIMES


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A pipeline whose workers have stored a little of everything, and have stopped; on engines of its own, since what
    is damaged here is nobody else's."""
    folder = tmp_path_factory.mktemp("reconcile")
    with embedded(folder) as engines:
        engines.prepare()
        with Pipeline(engines, folder) as pipeline:
            traces = [a_trace() for _ in range(20)]
            metadata = {"_user": "r"}
            made = pipeline.post(
                "/v1/feedback",
                [{"trace_id": t, "value": n % 9, "weight": 0.5, "metadata": metadata} for n, t in enumerate(traces)],
            )
            for trace in traces[:10]:
                pipeline.request(trace, "model-r")
            requests.put(f"{pipeline.url}/v1/feedback/{made[0]}", json={"value": -7}, timeout=30).raise_for_status()
            requests.delete(f"{pipeline.url}/v1/feedback/{made[1]}", timeout=30).raise_for_status()
            until(pipeline.is_settled, "the workers have stored and committed everything")
            assert cli.main(["audit", *addresses(pipeline), "--bootstrap", engines.kafka]) == 0
            for worker in pipeline.workers:
                worker.stop()
            asyncio.run(roll_up(engines.clickhouse))
            yield pipeline


def addresses(pipeline: Pipeline) -> list[str]:
    return ["--clickhouse-url", pipeline.engines.clickhouse]


def reconcile(pipeline: Pipeline, *arguments: str) -> int:
    """The command's exit code. Nothing moves in this pipeline any more, so nothing is waited for."""
    return cli.main(["reconcile", "--settle", "0", *arguments, *addresses(pipeline)])


DAMAGES = {
    "feedback_rows missing": "ALTER TABLE feedback.feedback_rows DELETE WHERE trace_id = '{t}'",
    "feedback_rows wrong": "ALTER TABLE feedback.feedback_rows UPDATE value = 9 WHERE trace_id = '{t}'",
    "feedback_rows that the journal does not account for": (
        "INSERT INTO feedback.feedback_rows SELECT * REPLACE (generateUUIDv4() AS feedback_id)"
        " FROM feedback.feedback_rows WHERE trace_id = '{t}'"
    ),
    "trace_aggregate_rows missing": "ALTER TABLE feedback.trace_aggregate_rows DELETE WHERE trace_id = '{t}'",
    "trace_aggregate_rows wrong": (
        "INSERT INTO feedback.trace_aggregate_rows SELECT * REPLACE (toUInt32(77) AS feedback_count)"
        " FROM feedback.trace_aggregate_rows WHERE trace_id = '{t}'"
    ),
    "trace_aggregate_rows that the journal does not account for": (
        "INSERT INTO feedback.trace_aggregate_rows SELECT * REPLACE ('not a trace' AS trace_id)"
        " FROM (SELECT * FROM feedback.trace_aggregate_rows WHERE trace_id = '{t}')"
    ),
    "request_log_rows wrong": (
        "INSERT INTO feedback.request_log_rows SELECT * REPLACE (started_at + 60 AS started_at)"
        " FROM feedback.request_log_rows LIMIT 1"
    ),
    "request_log_rows that the journal does not account for": (
        "INSERT INTO feedback.request_log_rows SELECT * REPLACE (generateUUIDv4() AS request_id)"
        " FROM (SELECT * FROM feedback.request_log_rows LIMIT 1)"
    ),
    "hours whose feedback_hour_rows are not": (
        "ALTER TABLE feedback.feedback_hour_rows DELETE WHERE feedback_id = '{f}'"
    ),
    "rollups of hours": (
        "INSERT INTO feedback.rollup_rows SELECT * REPLACE (toUInt64(77) AS feedback_count, version + 1 AS version)"
        " FROM feedback.rollup_rows WHERE period = 'hour'"
    ),
    "rollups of days": "ALTER TABLE feedback.rollup_rows DELETE WHERE period = 'day' AND dimension = 'user'",
}


def test_each_kind_of_damage_is_found_where_it_was_asked_for_and_put_right(
    stored: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    """All at once, each on a trace of its own."""
    places = "SELECT trace_id AS t, toString(feedback_id) AS f FROM feedback.feedback WHERE _user = 'r' ORDER BY t"
    everything = "SELECT * FROM feedback.feedback ORDER BY feedback_id"
    before, rows = stored.sql(everything), stored.sql(places)
    for damage, row in zip(DAMAGES.values(), rows, strict=False):
        synchronously = " SETTINGS mutations_sync = 2" if "ALTER" in damage else ""
        stored.sql_client.command(damage.format(**row) + synchronously)
    damaged = stored.sql(everything)
    assert damaged != before

    def reconcile_output(expected: int, *options: str) -> str:
        capsys.readouterr()
        assert reconcile(stored, *options) == expected
        return capsys.readouterr().out

    for bounds in (["--until", "2020-01-01"], ["--since", "2090-01-01"]):
        assert "Nothing differs." in reconcile_output(0, *bounds)
    found = reconcile_output(1, "--workspace", "default", "--since", "2020-01-01", "--until", "2090-01-01")
    of_other_times = "trace_aggregate_rows that the journal does not account for"
    assert [each for each in DAMAGES if each not in found] == [of_other_times], "it may be of feedback at other times"
    assert stored.sql(everything) == damaged, "it was not asked to put anything right"
    found = reconcile_output(1, "--repair")
    assert of_other_times in found
    assert "add --remove" in found
    assert "Nothing differs." in reconcile_output(0, "--repair", "--remove")
    assert stored.sql(everything) == before


def feedback_on(client: Client, trace_id: str) -> int:
    query = "SELECT sum(feedback_count) FROM feedback.trace_aggregates WHERE trace_id = {t:String}"
    return int(client.command(query, parameters={"t": trace_id}))


@contextmanager
def worker(stopped: Pipeline) -> Iterator[Pipeline]:
    """The pipeline with its worker at work again."""
    stopped.workers[0].start()
    try:
        yield stopped
    finally:
        stopped.workers[0].stop()


def test_work_under_way_is_taken_for_no_difference(stored: Pipeline) -> None:
    """One trace and one hour that never rest, and many feedbacks that come in the middle of it."""
    with worker(stored) as pipeline, pipeline.rollup(0.3) as rollup:
        hot, done = a_trace(), threading.Event()

        def send() -> None:
            """Not faster than the workers store, so that all of it is under way and the comparison is not starved."""
            with clickhouse_connect.get_client(dsn=pipeline.engines.clickhouse) as client:
                sent = 0
                while not done.wait(0.2):
                    traces = (hot, *(a_trace() for _ in range(20)))
                    pipeline.post("/v1/feedback", [{"trace_id": t, "value": 1} for t in traces])
                    pipeline.request(hot, f"model-{uuid.uuid4()}")
                    sent += 1
                    until(lambda sent=sent: done.is_set() or feedback_on(client, hot) >= sent, "it is stored")  # type: ignore[misc]

        sender = threading.Thread(target=send)
        try:
            until(lambda: pipeline.is_ready(rollup), "the rollup program is ready")
            sender.start()
            until(lambda: pipeline.aggregate(hot).get("feedback_count", 0) > 10, "work is under way")
            compare = ["reconcile", "--settle", "1.5", *addresses(pipeline)]
            assert [cli.main(compare) for _ in range(TIMES)] == [0] * TIMES
        finally:
            done.set()
            sender.join()
