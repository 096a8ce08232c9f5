"""A real edge while things fail: the broker dies, hangs or is missing, settings are faulty, a signal comes."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.embedded.broker import command, wait_until_ready
from deploy.kafka.broker import free_ports
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS
from tests.pipeline.engines import PARTITIONS, REPOSITORY, Process, until
from tests.pipeline.ingest_api.edge_fixtures import Broker, Edge, failed, feedback_ids, trace_in

ONE = {"trace_id": "t", "value": 1}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Broker, Edge]]:
    """A broker and an edge that several tests share, each leaving them ready."""
    folder = tmp_path_factory.mktemp("shared")
    broker = Broker(folder)
    settings = {"FEEDBACK_MAX_IN_FLIGHT_BYTES": "1000000", "FEEDBACK_PRODUCE_TIMEOUT_S": "2"}
    edge = Edge(folder, broker.bootstrap, **settings)
    try:
        edge.until_ready()
        yield broker, edge
    finally:
        edge.kill()
        broker.kill()


def test_posts_fail_soon_while_the_broker_is_dead_and_succeed_after_it_is_back(shared: tuple[Broker, Edge]) -> None:
    broker, edge = shared
    edge.saved(ONE)
    broker.kill()
    for reply, seconds in edge.together(*[ONE] * 5):
        failed(reply, 503, "AB04")
        assert int(reply.headers["retry-after"]) >= 1
        assert seconds < 4
    assert failed(edge.get("/readyz"), 503, "AB04")["message"]
    assert edge.get("/healthz").status_code == 200
    broker.restart()
    edge.until_ready()
    ids = edge.saved([{"trace_id": trace_in(number), "value": 1} for number in range(PARTITIONS)])
    records = broker.records(FEEDBACK_EVENTS, PARTITIONS)
    assert set(feedback_ids(records)) == set(ids)


def test_a_broker_that_hangs_gives_a_503_in_time_that_asks_not_to_repeat(shared: tuple[Broker, Edge]) -> None:
    broker, edge = shared
    edge.saved(ONE)
    with broker.frozen():
        ((reply, seconds),) = edge.together(ONE)
        failed(reply, 503, "AB04")
        assert reply.headers["retry-after"]
        assert reply.headers["x-portkey-request-id"], "the outcome is unknown: an SDK must not repeat at once"
        assert seconds < 4
        until_noticed(edge)
        ((reply, seconds),) = edge.together(ONE)
        failed(reply, 503, "AB04")
        assert "x-portkey-request-id" not in reply.headers, "nothing was sent: it may be repeated"
        assert seconds < 1
    edge.until_ready()
    edge.saved(ONE)


class HastyEdge(Edge):
    """An edge that reads its keys all the time, and has the patience of a second where others have fifteen."""

    argv = (
        sys.executable,
        "-c",
        "import sys; from ingest_api.kafka import api_key_feed as feed; from ingest_api.__main__ import main;"
        " feed._REREAD_S, feed._PASS_S, feed._REQUEST_MS = 0, 1.5, 1000; sys.exit(main())",
    )


def test_an_edge_that_was_frozen_while_it_read_its_keys_goes_on_reading_them(broker: Broker, tmp_path: Path) -> None:
    edge = HastyEdge(tmp_path, broker.bootstrap)
    try:
        edge.until_ready()

        def frozen_while_reading() -> bool:
            with edge.frozen():
                time.sleep(1.6)  # longer than its patience: what is tried is what the clock does meanwhile
            return failure in edge.log.read_text()

        failure = "topic api.keys.v1 cannot be read (TimeoutError)"
        until(frozen_while_reading, "it was frozen while it read")
        until(
            lambda: "API keys: read" in edge.log.read_text().rpartition(failure)[2], "keys are read again", seconds=20
        )
        edge.saved(ONE)
    finally:
        edge.kill()


def test_what_is_in_flight_is_bounded(shared: tuple[Broker, Edge]) -> None:
    broker, edge = shared
    edge.saved(ONE)
    big = {"request": {"body": "x" * 400_000}, "response": {}}
    with broker.frozen():
        replies = edge.together(*[big] * 6, path="/v1/logs")
        until_noticed(edge)
    turned_away = [seconds for reply, seconds in replies if "already wait" in failed(reply, 503, "AB04")["message"]]
    assert len(turned_away) == 4
    assert max(turned_away) < 1.5
    edge.until_ready()
    edge.saved(big, "/v1/logs")


def test_an_edge_starts_while_kafka_is_away_and_finds_it_later_and_tells_its_address(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    broker.kill()
    edge = Edge(tmp_path, broker.bootstrap)
    try:
        edge.until_listening()
        tells_its_address(edge, "127.0.0.1", warned=False)
        assert broker.bootstrap in failed(edge.get("/readyz"), 503, "AB04")["message"]
        assert "retry-after" in edge.post("/v1/feedback", ONE).headers
        assert failed(edge.post("/v1/logs", ONE), 503, "AB04")["message"], "nobody can be told from anybody yet"
        broker.restart()
        edge.until_ready()
        edge.saved(ONE)
    finally:
        edge.kill()
        broker.kill()


def test_an_edge_that_wants_an_idempotent_producer_says_what_to_set_where_there_is_none(
    broker: Broker, tmp_path: Path
) -> None:
    edge = Edge(tmp_path, broker.bootstrap, FEEDBACK_KAFKA_IDEMPOTENCE="true")
    try:
        edge.until_listening()
        until_told(edge, "FEEDBACK_KAFKA_IDEMPOTENCE=false")
    finally:
        edge.kill()


def until_noticed(edge: Edge) -> None:
    """Wait until the edge knows that Kafka hangs: by what is in flight, or by its next look for a broker."""
    until(lambda: "Kafka" in edge.get("/readyz").text, "/readyz says that Kafka hangs")


def until_told(edge: Edge, words: str) -> None:
    """Wait until /readyz gives a reason with these words."""
    until(lambda: words in edge.get("/readyz").text, f"/readyz says {words}")


def test_unequal_partition_counts_are_refused_with_the_counts(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    bootstrap = f"127.0.0.1:{port}"

    async def create() -> None:
        await wait_until_ready(bootstrap)
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(FEEDBACK_EVENTS, 4, 1), NewTopic(REQUEST_LOGS, 2, 1)])
        await admin.close()

    bare = Process(command("127.0.0.1", port), tmp_path / "broker.log")
    edge = Edge(tmp_path, bootstrap)
    try:
        edge.until_listening()
        until_told(edge, f"topic {FEEDBACK_EVENTS} does not exist")
        asyncio.run(create())
        until_told(edge, f"{FEEDBACK_EVENTS} has 4 and {REQUEST_LOGS} has 2")
        assert "has 4" in failed(edge.post("/v1/feedback", ONE), 503, "AB04")["message"]
    finally:
        edge.kill()
        bare.kill()


def test_a_sigterm_under_load_loses_nothing_that_was_acknowledged(broker: Broker, edge: Edge) -> None:
    acknowledged: list[str] = []
    stopping = threading.Event()

    def post_until_the_end(poster: int) -> int:
        with requests.Session() as session:
            for count in range(1_000_000):
                try:
                    reply = session.post(
                        f"{edge.url}/v1/feedback", json=[{"trace_id": f"{poster}-{count}", "value": 1}] * 20, timeout=30
                    )
                except requests.ConnectionError:
                    assert stopping.is_set(), "the connection broke before the signal"
                    return count
                assert reply.status_code == 200, reply.text
                acknowledged.extend(reply.json()["feedback_ids"])
                if len(acknowledged) > 4_000 and not stopping.is_set():
                    stopping.set()
                    edge.terminate()
        raise AssertionError("the edge never stopped")

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(post_until_the_end, range(8)))
    assert edge.wait() == 0
    records = broker.records(FEEDBACK_EVENTS, len(acknowledged))
    assert set(acknowledged) <= set(feedback_ids(records))
    assert len(acknowledged) > 4_000


def test_a_call_that_is_in_flight_at_sigterm_is_still_answered(broker: Broker, edge: Edge) -> None:
    body = json.dumps(ONE).encode()
    head = (
        f"POST /v1/feedback HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\nexpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as call:
        call.sendall(head.encode())
        assert call.recv(1000).startswith(b"HTTP/1.1 100 ")
        edge.terminate()
        until(lambda: refuses_connections(edge), "the edge accepts nothing more")
        call.sendall(body)
        assert call.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert edge.wait() == 0
    assert len(broker.records(FEEDBACK_EVENTS, 1)) == 1


def test_a_signal_while_the_edge_still_starts_ends_it(tmp_path: Path) -> None:
    edge = Edge(tmp_path, f"127.0.0.1:{free_ports(1)[0]}")
    try:
        until(lambda: "Feedback API edge at" in edge.log.read_text(), "the edge has its settings")
        assert edge.stop() == 0
    finally:
        edge.kill()


def refuses_connections(edge: Edge) -> bool:
    try:
        socket.create_connection(("127.0.0.1", edge.port), timeout=10).close()
    except ConnectionRefusedError:
        return True
    return False


def test_faulty_settings_are_told_one_a_line_and_end_the_start(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "ingest_api"],
        env={**os.environ, "FEEDBACK_PORT": "http", "FEEDBACK_KAFKA_BOOTSTRAP": "nowhere"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert run.returncode == 2
    first, second = run.stderr.splitlines()
    assert first.startswith("FEEDBACK_PORT must ")
    assert second.startswith("FEEDBACK_KAFKA_BOOTSTRAP must ")


def test_the_start_warns_of_an_open_address(tmp_path: Path) -> None:
    edge = Edge(tmp_path, "127.0.0.1:1", FEEDBACK_HOST="0.0.0.0")
    try:
        edge.until_listening()
        tells_its_address(edge, "0.0.0.0", warned=True)
    finally:
        assert edge.stop() == 0


def tells_its_address(edge: Edge, host: str, *, warned: bool) -> None:
    told = edge.log.read_text()
    assert f"http://{host}:{edge.port}" in told
    assert "open until the first API key is made" in told
    assert ("0.0.0.0 is not a loopback address" in told) is warned
    assert "Traceback" not in told
