"""How `feedback up` ends, and what is there at its next start."""

import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import cli
from deploy.kafka.broker import free_ports
from tests.pipeline.engines import clickhouse_front, until
from tests.pipeline.supervised import Starter, environment_of, is_gone, starter, stored


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Starter]:
    """Makes supervisors of this test; whatever it leaves running is killed."""
    with starter(tmp_path) as start:
        yield start


def test_no_process_outlives_a_killed_supervisor_and_the_next_stores_all_that_it_accepted_before_ctrl_c(
    up: Starter,
) -> None:
    group = {"FEEDBACK_CONSUMER_GROUP": "workers-of-another-name", "FEEDBACK_ROLLUP_GROUP": "rollups-of-another-name"}
    mine = up("data", "--workers", "2", "--partitions", "4", environment=group).start_and_wait()
    mine.post("kept")
    until(lambda: mine.stored("kept") == 1, "feedback is stored")
    children = mine.children()
    assert len(children) == 6
    mine.process.kill()
    mine.process.wait()
    until(lambda: all(is_gone(pid) for pid in children), "all programs are gone")

    mine.start_and_wait()
    assert "it was killed the last time" in mine.errors.read_text()
    assert mine.stored("kept") == 1
    children = mine.children()
    workers = [pid for pid, line in children.items() if line.split()[-1] == "stream_workers"]
    assert [int(environment_of(pid)["FEEDBACK_OFFSET_BASE"]) > 0 for pid in workers] == [True, True]
    mine.post("last", 1000)
    mine.press_ctrl_c()
    assert mine.process.wait(60) == 0, mine.errors.read_text()
    assert "died" not in mine.errors.read_text(), "Ctrl-C reaches the supervisor alone"
    assert [line for pid, line in children.items() if not is_gone(pid)] == []
    logged = [line for log in mine.data_dir.glob("logs/*.log") for line in log.read_text().splitlines()]
    assert [line for line in logged if " ERROR " in line] == [], "each program closes what it has opened"
    (port,) = free_ports(1)
    with clickhouse_front(mine.data_dir / "clickhouse", port) as clickhouse:
        assert stored(clickhouse, "last") == 1000


def test_a_signal_before_it_is_ready_stops_it_cleanly(up: Starter) -> None:
    mine = up()
    mine.start()
    until(lambda: mine.child("tansu"), "the broker is started")
    children = mine.children()
    assert mine.end() == 0, mine.errors.read_text()
    assert all(is_gone(pid) for pid in children)
    assert mine.ready_lines() == []


@pytest.mark.kafka
@pytest.mark.skipif(
    not (shutil.which("java") and shutil.which("mvn")) and os.environ.get("FEEDBACK_REQUIRE_KAFKA") != "1",
    reason="needs java and mvn on the PATH",
)
def test_apache_kafka_keeps_its_log_its_keys_and_its_base_through_restarts_and_a_clickhouse_that_was_lost(
    up: Starter, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = up("data", "--broker", "kafka").start_and_wait()
    base = mine.data_dir / "kafka" / "offset_base"
    assert base.read_text() == "0\n"
    assert cli.main(["keys", "create", "--scope", "admin", *mine.where]) == 0
    (mine.key,) = re.findall(r"fbk_\w+", capsys.readouterr().out)
    until(lambda: (mine.status(mine.key), mine.read_status(mine.key)) == (200, 200), "the key is known")
    os.kill(mine.child("stream_workers"), signal.SIGSTOP)
    mine.post("unread")
    children = mine.children()
    assert mine.end(signal.SIGKILL) == -signal.SIGKILL
    until(lambda: all(is_gone(pid) for pid in children), "all programs are gone")
    shutil.rmtree(mine.data_dir / "clickhouse")
    (mine.data_dir / "closed").unlink()  # so that Kafka alone knows

    mine.start_and_wait()
    assert "1 API keys were in Kafka alone and are in ClickHouse again" in mine.errors.read_text()
    for ask in (mine.status, mine.read_status):
        assert (ask(), ask("whatever"), ask(mine.key)) == (401, 401, 200)
    until(lambda: mine.stored("unread") == 1, "what lay in the log is stored")
    assert base.read_text() == "0\n"
    kafka, worker = mine.child("kafka.Kafka"), mine.child("stream_workers")
    os.kill(kafka, signal.SIGKILL)
    mine.until_replaced("kafka.Kafka", kafka)
    until(lambda: mine.accepts("afterwards"), "feedback is accepted")
    until(lambda: mine.stored("afterwards") >= 1, "feedback is stored")
    assert mine.child("stream_workers") == worker
    os.kill(mine.process.pid, signal.SIGTERM)
    assert mine.end(signal.SIGTERM) == 0, f"SIGTERM twice lets it finish: {mine.errors.read_text()}"
