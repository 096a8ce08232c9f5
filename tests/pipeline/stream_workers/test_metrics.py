"""Metrics and logs of real programs over real engines: exact counts after known traffic, and not a word of payloads."""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.kafka.broker import free_ports
from runtime.fast_metrics import Counter
from runtime.kafka_offsets import end_offsets
from runtime.metrics_registry import PROGRAMS
from schemas.topics import FEEDBACK_EVENTS, INPUTS, REQUEST_LOGS
from tests.chaos.proxy import Proxy
from tests.pipeline.engines import PARTITIONS, Process, until
from tests.pipeline.forked import ended
from tests.pipeline.ingest_api.edge_fixtures import Broker, Edge
from tests.pipeline.query_api.exporting import Exports
from tests.pipeline.running import Numbers, Pipeline, scraped

SECRET = "hunter2-never-logged"
FAULTY = "tests.pipeline.stream_workers.faulty_edge"
HOLDS_SECRET = {"authorization": f"Bearer {SECRET}", "x-portkey-api-key": SECRET, "x-portkey-metadata": SECRET}


def grown(before: Numbers, after: Numbers, name: str) -> dict[tuple[str, ...], float]:
    """By label values, by how much the samples of this name have grown."""
    found = {key[1:]: number - before[key] for key, number in after.items() if key[0] == name}
    return {labels: number for labels, number in found.items() if number}


def lags(numbers: Numbers) -> list[float]:
    """Records that are not acknowledged, of each partition that is shown."""
    return [number for key, number in numbers.items() if key[0] == "feedback_consumer_lag_records"]


def lag(numbers: Numbers) -> float:
    """Records that are not acknowledged, over all partitions; -1 if no partition is shown yet."""
    found = lags(numbers)
    return sum(found) if found else -1


def oldest(numbers: Numbers) -> float:
    """For how many seconds the oldest record waits."""
    return max(number for key, number in numbers.items() if key[0] == "feedback_consumer_oldest_age_seconds")


def assert_only_known_values(numbers: Numbers) -> None:
    """Nothing is counted by a label that is not shown as 0 from the start."""
    for counter in {t for metrics in PROGRAMS.values() for t in metrics if isinstance(t, Counter)}:
        # Numbers have the values of labels in order of their names.
        order = sorted(range(len(counter.labels)), key=counter.labels.__getitem__)
        known = {tuple(str(each[i]) for i in order) for each in counter.known}
        assert {key[1:] for key in numbers if key[0] == counter.name} <= known, counter.name


def settled(pipeline: Pipeline) -> None:
    until(pipeline.is_settled, "all is stored and committed")


@pytest.mark.each_source
def test_known_traffic_is_counted_exactly(pipeline: Pipeline) -> None:
    settled(pipeline)
    before = pipeline.metrics()
    # Each step is stored before the next, because a feedback that changes twice in one batch is stored once.
    identity = pipeline.feedback("counted", 1)
    settled(pipeline)
    pipeline.request("counted")
    settled(pipeline)
    one = f"{pipeline.url}/v1/feedback/{identity}"
    assert requests.put(one, json={"value": 3}, timeout=30).status_code == 200
    settled(pipeline)
    assert requests.delete(one, timeout=30).status_code == 200
    settled(pipeline)
    assert requests.get(one, timeout=30).json()["status"] == "deleted"
    pipeline.post("/v1/feedback", [{"trace_id": f"alone {number}", "value": 1} for number in range(5)])
    settled(pipeline)
    pipeline.produce(FEEDBACK_EVENTS, 1, b"no event")
    pipeline.produce(REQUEST_LOGS, 1, b"\xff")
    settled(pipeline)
    feedback = f"{pipeline.url}/v1/feedback"
    for body in ({"trace_id": "t", "value": 11}, [{"trace_id": "t", "value": 1}, {"trace_id": "t", "value": "x"}], {}):
        assert requests.post(feedback, json=body, timeout=30).status_code == 400
    assert requests.post(feedback, data=b"{", timeout=30).status_code == 400
    assert requests.post(feedback, data=b" " * 5_000_001, timeout=30).status_code == 413
    assert requests.put(f"{feedback}/nobody", json={"value": 1}, timeout=30).status_code == 404
    assert requests.get(f"{pipeline.url}/elsewhere", timeout=30).status_code == 404
    after = pipeline.metrics()

    assert grown(before, after, "feedback_edge_events_accepted_total") == {
        ("create",): 6,
        ("update",): 1,
        ("delete",): 1,
        ("request",): 1,
    }
    refused = grown(before, after, "feedback_edge_requests_refused_total")
    assert refused == {
        ("value", "400"): 3,
        ("malformed", "400"): 1,
        ("too_large", "413"): 1,
        ("unknown", "404"): 1,
    }
    assert grown(before, after, "feedback_http_request_duration_seconds_count") == {
        ("POST", "/v1/feedback", "200"): 2,
        ("POST", "/v1/logs", "200"): 1,
        ("PUT", "/v1/feedback/{feedback_id}", "200"): 1,
        ("DELETE", "/v1/feedback/{feedback_id}", "200"): 1,
        ("GET", "/v1/feedback/{feedback_id}", "200"): 1,
        ("POST", "/v1/feedback", "400"): 4,
        ("POST", "/v1/feedback", "413"): 1,
        ("PUT", "/v1/feedback/{feedback_id}", "404"): 1,
        ("GET", "other", "404"): 1,
        ("GET", "/metrics", "200"): 1,
    }
    assert grown(before, after, "feedback_edge_batch_events_sum") == {(): 9}
    batches = grown(before, after, "feedback_edge_batch_events_count")[()]
    assert grown(before, after, "feedback_edge_produce_duration_seconds_count") == {(): batches}
    assert (after["feedback_edge_in_flight_events",], after["feedback_edge_ready",]) == (0, 1)

    assert grown(before, after, "feedback_worker_feedback_stored_total") == {("pending",): 6, ("joined",): 3}
    assert grown(before, after, "feedback_worker_dead_letters_total") == {("not_json",): 1, ("not_utf8",): 1}
    assert grown(before, after, "feedback_worker_rows_stored_total") == {
        ("journal",): 9,
        ("feedback_rows",): 9,
        ("trace_aggregate_rows",): 9,
        ("request_log_rows",): 1,
        ("dead_letters",): 2,
    }
    asked = grown(before, after, "feedback_worker_cache_traces_total")
    assert asked == {("miss",): 6, ("hit",): 3}
    assert grown(before, after, "feedback_consumer_batch_records_sum") == {(): 11}
    batches = grown(before, after, "feedback_consumer_batch_records_count")[()]
    for name in ("insert", "publish"):
        assert grown(before, after, f"feedback_worker_{name}_duration_seconds_count") == {(): batches}
    assert grown(before, after, "feedback_consumer_commits_total")[()] >= 6
    assert grown(before, after, "feedback_worker_retries_total") == {}
    assert lag(after) == 0
    assert_only_known_values(after)
    assert after["feedback_consumer_assigned_partitions",] == 2 * PARTITIONS
    assert after["feedback_consumer_assignments_total",] >= 1


async def commit_the_ends(bootstrap: str, group: str) -> None:
    """Have a new group begin after all there is: a worker that read it anew would bring back what was erased."""
    ends = await end_offsets(bootstrap, INPUTS)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        places = {TopicPartition(*place): end for place, end in ends.items()}
        consumer.assign(list(places))
        await consumer.commit(places)
    finally:
        await consumer.stop()


@pytest.mark.each_source
def test_the_lag_counts_unacknowledged_records_and_failures_are_counted_as_retries(pipeline: Pipeline) -> None:
    pipeline.feedback("lags", 1)
    settled(pipeline)
    (port,) = free_ports(1)
    clickhouse = urlsplit(pipeline.engines.clickhouse)
    assert clickhouse.port is not None
    proxy = Proxy(port, clickhouse.port)
    through_proxy = pipeline.engines.clickhouse.replace(f":{clickhouse.port}", f":{port}")
    asyncio.run(commit_the_ends(pipeline.engines.kafka, "lagging"))
    worker = pipeline.add_worker(FEEDBACK_CLICKHOUSE_URL=through_proxy, FEEDBACK_CONSUMER_GROUP="lagging")
    url = pipeline.metrics_urls[worker]
    try:
        until(lambda: len(lags(scraped(url))) == 2 * PARTITIONS and lag(scraped(url)) == 0, "it has caught up")
        proxy.stall()
        pipeline.post("/v1/feedback", [{"trace_id": f"lags {number}", "value": 1} for number in range(3)])
        until(lambda: lag(scraped(url)) == 3, "it lags by three")
        until(lambda: oldest(scraped(url)) > 0, "the first of them ages")
        settled(pipeline)
        assert lag(scraped(url)) == 3

        def a_try_has_failed() -> bool:
            proxy.cut()  # more than once: the client itself repeats what was cut off
            return scraped(url)["feedback_worker_retries_total", "clickhouse"] > 0

        until(a_try_has_failed, "a try has failed")
        proxy.flow()
        until(lambda: lag(scraped(url)) == 0, "it has caught up again")
        assert oldest(scraped(url)) == 0
    finally:
        worker.stop()
        proxy.close()


def test_a_worker_whose_metrics_port_is_taken_says_so(pipeline: Pipeline, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        environment = {**os.environ, **pipeline.engines.environment, "FEEDBACK_METRICS_PORT": port}
        found = ended("stream_workers", log=tmp_path / "worker.log", environment=environment)
    assert found == (
        2,
        f"feedback worker: FEEDBACK_METRICS_PORT: port {port} on 127.0.0.1 cannot be had (Address already in use):"
        " give another, or 0 for none.\n",
    )


def test_rollups_are_counted(pipeline: Pipeline) -> None:
    settled(pipeline)  # or a worker has invalidations yet to publish
    with pipeline.rollup() as rollup:
        url = pipeline.metrics_urls[rollup]
        until(lambda: lags(scraped(url)) == [0] * PARTITIONS, "what earlier tests have changed is computed")
        before = scraped(url)
        pipeline.feedback("rolled up", 1)

        def computed() -> dict[tuple[str, ...], float]:
            return grown(before, scraped(url), "feedback_rollup_buckets_computed_total")

        # The program also looks for hours that nobody has named, and may find what earlier tests have left.
        until(lambda: computed().keys() == {("hour",), ("day",)}, "an hour and its day are computed")
        (durations,) = grown(before, scraped(url), "feedback_rollup_compute_duration_seconds_count").values()
        assert durations >= 1
        until(lambda: scraped(url)["feedback_clickhouse_partition_parts", "journal"] >= 1, "ClickHouse is looked at")
        total = scraped(url)["feedback_clickhouse_disk_total_bytes", "default"]
        assert 0 < scraped(url)["feedback_clickhouse_disk_free_bytes", "default"] <= total
        assert_only_known_values(scraped(url))


def test_exports_are_counted_by_how_they_end(pipeline: Pipeline) -> None:
    url, exports, folder = f"{pipeline.url}/metrics", Exports(pipeline.url), pipeline.folder / "exports"
    order = {"filters": {"trace_id": "exported"}, "requested_data": ["id"]}
    before = scraped(url)
    exports.until_status(exports.started(**order), "success")
    assert grown(before, scraped(url), "feedback_query_exports_ended_total") == {("success",): 1}
    assert scraped(url)["feedback_query_export_disk_free_bytes",] > 0
    aside = folder.rename(folder.with_name("aside"))
    folder.touch()
    try:
        exports.until_status(exports.started(**order), "failed")
    finally:
        folder.unlink()
        aside.rename(folder)
    assert grown(before, scraped(url), "feedback_query_exports_ended_total") == {("success",): 1, ("failed",): 1}


def test_an_edge_without_kafka_counts_what_it_cannot_take(broker: Broker, edge: Edge) -> None:
    assert scraped(f"{edge.url}/metrics")["feedback_edge_ready",] == 1
    broker.kill()
    until(lambda: edge.post("/v1/feedback", {"trace_id": "t", "value": 1}).status_code == 503, "it is refused")
    until(lambda: edge.get("/readyz").status_code == 503, "the edge is not ready")
    before = scraped(f"{edge.url}/metrics")
    reply = edge.post("/v1/feedback", {"trace_id": "t", "value": 1}, {"x-request-id": "mine"})
    assert reply.status_code == 503
    assert reply.headers["x-request-id"] == "mine"
    assert "x-portkey-request-id" not in reply.headers, "it is to be repeated"
    after = scraped(f"{edge.url}/metrics")
    assert grown(before, after, "feedback_edge_requests_refused_total") == {("kafka_unavailable", "503"): 1}
    assert (after["feedback_edge_ready",], after["feedback_edge_producers_lost_total",]) == (0, 1)


def test_every_answer_has_a_request_id_its_own_where_one_came(edge: Edge) -> None:
    good = {"trace_id": "t", "value": 1}
    made = set()
    for method, path, body in (
        ("POST", "/v1/feedback", good),
        ("POST", "/v1/feedback", {}),
        ("GET", "/v1/feedback", None),
        ("GET", "/healthz", None),
        ("GET", "/nowhere", None),
    ):
        reply = edge.call(method, path, body, {"x-request-id": "from-outside"})
        assert reply.headers["x-request-id"] == "from-outside"
        made.add(edge.call(method, path, body).headers["x-request-id"])
        made.add(edge.call(method, path, body, {"x-request-id": "not well formed"}).headers["x-request-id"])
    assert len(made) == 10


@pytest.mark.parametrize("format_", ["text", "json"])
def test_no_log_line_holds_what_callers_send(broker: Broker, tmp_path: Path, format_: str) -> None:
    (port,) = free_ports(1)
    environment = {
        "FEEDBACK_PORT": str(port),
        "FEEDBACK_KAFKA_BOOTSTRAP": broker.bootstrap,
        "FEEDBACK_KAFKA_IDEMPOTENCE": "false",
        "FEEDBACK_PRODUCE_TIMEOUT_S": "1",
        "FEEDBACK_LOG_FORMAT": format_,
    }
    url = f"http://127.0.0.1:{port}"
    faulty = Process([sys.executable, "-m", FAULTY], tmp_path / "faulty.log", environment)
    try:
        until(lambda: requests.get(f"{url}/readyz", timeout=5).status_code == 200, "the edge is ready")
        bodies = [
            {"trace_id": SECRET, "value": SECRET},
            {"trace_id": SECRET, "value": 1, "weight": SECRET},
            {"trace_id": SECRET, "value": 1, "metadata": SECRET},
            {"trace_id": [SECRET], "value": 1},
            [{"trace_id": SECRET, "value": 1, "metadata": {SECRET: SECRET}}, SECRET],
        ]
        statuses = [requests.post(f"{url}/v1/feedback", json=body, headers=HOLDS_SECRET).status_code for body in bodies]
        statuses.append(requests.post(f"{url}/v1/feedback", data=f'{{"{SECRET}'.encode(), timeout=10).status_code)
        statuses.append(requests.put(f"{url}/v1/feedback/{SECRET}", json={"value": 1}, timeout=10).status_code)
        statuses.append(requests.get(f"{url}/{SECRET}?key={SECRET}", timeout=10).status_code)
        assert statuses == [400] * 6 + [404] * 2
        fault = requests.post(f"{url}/v1/logs", json={"request": SECRET}, headers=HOLDS_SECRET, timeout=10)
        other = requests.get(f"{url}/fault/{SECRET}", timeout=10)
        assert (fault.status_code, other.status_code) == (500, 500)
        broker.kill()
        good = {"trace_id": SECRET, "value": 1, "metadata": {"_user": SECRET}}
        until(lambda: requests.post(f"{url}/v1/feedback", json=good, timeout=10).status_code == 503, "it is refused")
    finally:
        assert faulty.stop() == 0
    told = faulty.log.read_text()
    assert SECRET not in told
    assert "kafka_unavailable" in told or "outcome_unknown" in told
    for reply in (fault, other):
        assert reply.headers["x-request-id"] in told
        assert SECRET not in reply.text
    if format_ == "json":
        lines = [json.loads(line) for line in told.splitlines()]
        refused = [line for line in lines if line["message"] == "refused"]
        assert [line["status"] for line in refused][:10] == [400] * 6 + [404] * 2 + [500] * 2
        assert {line["error"] for line in lines if "error" in line} == {"KeyError", "ValueError"}


def test_the_programs_logs_are_json_lines_without_the_records_they_read(pipeline: Pipeline) -> None:
    for value in (SECRET.encode(), json.dumps({"event": "create", "workspace": SECRET}).encode()):
        pipeline.produce(FEEDBACK_EVENTS, 0, value)
        pipeline.produce(REQUEST_LOGS, 0, value)
    settled(pipeline)
    for process in pipeline.metrics_urls:
        for line in process.log.read_text().splitlines():
            assert SECRET not in line
            assert {"time", "level", "logger", "message"} <= json.loads(line).keys()
