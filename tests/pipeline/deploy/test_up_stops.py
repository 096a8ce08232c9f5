"""How `feedback up` ends, and what is there at its next start."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from deploy.kafka.broker import free_ports
from tests.pipeline.engines import clickhouse_front, until
from tests.pipeline.supervised import Starter, environment_of, is_gone, starter, stored


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Starter]:
    """Makes supervisors of this test; whatever it leaves running is killed."""
    with starter(tmp_path) as start:
        yield start


def test_what_was_accepted_before_sigterm_is_stored_and_no_process_is_left(up: Starter, tmp_path: Path) -> None:
    group = {"FEEDBACK_CONSUMER_GROUP": "workers-of-another-name", "FEEDBACK_ROLLUP_GROUP": "rollups-of-another-name"}
    mine = up("data", "--workers", "2", "--partitions", "4", environment=group).start_and_wait()
    children = mine.children()
    assert len(children) == 6
    body = [{"trace_id": "last", "value": 1} for _ in range(1000)]
    reply = requests.post(f"{mine.url}/v1/feedback", json=body, timeout=30)
    assert reply.status_code == 200, reply.text
    assert mine.end() == 0, mine.errors.read_text()
    assert [line for pid, line in children.items() if not is_gone(pid)] == []
    (port,) = free_ports(1)
    with clickhouse_front(mine.data_dir / "clickhouse", port) as clickhouse:
        assert stored(clickhouse, "last") == 1000


def test_no_process_outlives_a_killed_supervisor_whose_folder_is_used_again_until_ctrl_c(up: Starter) -> None:
    mine = up().start_and_wait()
    mine.post("kept")
    until(lambda: mine.stored("kept") == 1, "feedback is stored")
    children = mine.children()
    assert len(children) == 5
    mine.process.kill()
    mine.process.wait()
    until(lambda: all(is_gone(pid) for pid in children), "all programs are gone")
    mine.start_and_wait()
    assert "it was killed the last time" in mine.errors.read_text()
    assert mine.stored("kept") == 1
    assert int(environment_of(mine.child("stream_workers"))["FEEDBACK_OFFSET_BASE"]) > 0
    mine.press_ctrl_c()
    assert mine.process.wait(60) == 0, mine.errors.read_text()
    assert "died" not in mine.errors.read_text(), "Ctrl-C reaches the supervisor alone"


def test_a_signal_before_it_is_ready_stops_it_cleanly(up: Starter) -> None:
    mine = up()
    mine.start()
    until(lambda: mine.child("tansu"), "the broker is started")
    children = mine.children()
    assert mine.end() == 0, mine.errors.read_text()
    assert all(is_gone(pid) for pid in children)
    assert mine.ready_lines() == []


def test_a_second_ctrl_c_stops_at_once(up: Starter) -> None:
    mine = up().start_and_wait()
    children = mine.children()
    os.kill(mine.child("stream_workers"), signal.SIGSTOP)
    mine.post("left")
    mine.press_ctrl_c()
    until(lambda: "stopping when all" in mine.errors.read_text(), "it says that it stops")
    started = time.monotonic()
    assert mine.end(signal.SIGINT) == 130
    assert time.monotonic() - started < 5
    assert all(is_gone(pid) for pid in children)


def test_records_that_no_worker_takes_are_counted_and_the_exit_code_says_so(up: Starter) -> None:
    mine = up().start_and_wait()
    os.kill(mine.child("stream_workers"), signal.SIGSTOP)
    for trace in ("a", "b", "c"):
        mine.post(trace)
    assert mine.end() == 1
    assert "feedback: 3 accepted records were not stored and are lost" in mine.errors.read_text()


def test_a_program_that_keeps_dying_ends_everything(up: Starter) -> None:
    mine = up().start_and_wait()
    children = mine.children()

    def ended() -> bool:
        if edge := mine.child("deploy.api"):
            os.kill(edge, signal.SIGKILL)
        return mine.process.poll() is not None

    until(ended, "it gives up")
    assert mine.process.returncode == 1
    assert f"edge died 5 times within a minute: see {mine.data_dir}/logs/edge.log." in mine.errors.read_text()
    assert all(is_gone(pid) for pid in children)


@pytest.mark.kafka
@pytest.mark.skipif(
    not (shutil.which("java") and shutil.which("mvn")) and os.environ.get("FEEDBACK_REQUIRE_KAFKA") != "1",
    reason="needs java and mvn on the PATH",
)
def test_apache_kafka_keeps_its_log_and_its_base_through_restarts(up: Starter) -> None:
    mine = up("data", "--broker", "kafka").start_and_wait()
    base = mine.data_dir / "kafka" / "offset_base"
    assert base.read_text() == "0\n"
    os.kill(mine.child("stream_workers"), signal.SIGSTOP)
    mine.post("unread")
    assert mine.end(signal.SIGKILL) == -signal.SIGKILL
    mine.start_and_wait()
    until(lambda: mine.stored("unread") == 1, "what lay in the log is stored")
    assert base.read_text() == "0\n"
    kafka, worker = mine.child("kafka.Kafka"), mine.child("stream_workers")
    os.kill(kafka, signal.SIGKILL)
    until(lambda: mine.child("kafka.Kafka") not in (0, kafka), "Kafka runs again")
    until(lambda: mine.accepts("afterwards"), "feedback is accepted")
    until(lambda: mine.stored("afterwards") >= 1, "feedback is stored")
    assert mine.child("stream_workers") == worker
    os.kill(mine.process.pid, signal.SIGTERM)
    assert mine.end(signal.SIGTERM) == 0, f"SIGTERM twice lets it finish: {mine.errors.read_text()}"
