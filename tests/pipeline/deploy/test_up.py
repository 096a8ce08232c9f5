"""`feedback up` as its user meets it: the ready line, what is started again, and what is refused."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import pytest
import requests

from deploy import cli
from deploy.kafka.broker import free_ports
from operations.migrate import migrate
from runtime.addresses import without_password
from tests.pipeline.engines import embedded, until
from tests.pipeline.supervised import ENGINES, Starter, Up, environment_of, is_gone, number, starter, stored


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Starter]:
    """Makes supervisors of this test; whatever it leaves running is killed."""
    with starter(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One that several tests share, each leaving it ready."""
    gateway, upstream = free_ports(2)
    environment = {"FEEDBACK_GATEWAY_UPSTREAM": f"http://127.0.0.1:{upstream}", "FEEDBACK_GATEWAY_PORT": str(gateway)}
    with starter(tmp_path_factory.mktemp("up")) as start:
        yield start("data", environment=environment).start_and_wait(has_tables=False)


def test_the_ready_line_has_the_addresses_and_the_example_pastes(running: Up) -> None:
    ready, *example = running.ready_lines()
    assert ready == (
        f"Feedback API ready: {running.url}  ClickHouse {running.clickhouse_url}  Kafka 127.0.0.1:{running.kafka_port}"
    )
    pasted = subprocess.run(["bash", "-c", "\n".join(example)], capture_output=True, text=True, check=True)
    assert json.loads(pasted.stdout)["status"] == "success"
    assert (running.data_dir / "api_address").read_text() == f"{running.url}\n"
    assert (running.data_dir / "kafka_address").read_text() == f"127.0.0.1:{running.kafka_port}\n"
    trace = json.loads(shlex.split(example[0])[-1])["trace_id"]
    until(lambda: running.stored(trace) == 1, "the example is stored")


def test_a_gateway_runs_where_an_upstream_is_set_and_logs_to_the_edge_beside_it(running: Up) -> None:
    at = f"http://127.0.0.1:{running.environment['FEEDBACK_GATEWAY_PORT']}"
    assert f"feedback: calls to {at} pass to " in running.errors.read_text()
    reply = requests.post(f"{at}/v1/chat/completions", headers={"x-portkey-trace-id": "passed"}, json={}, timeout=30)
    assert reply.status_code == 502  # nothing listens at this upstream
    query = "SELECT count() FROM feedback.request_logs WHERE trace_id = 'passed' AND status = 502"
    until(lambda: number(running.clickhouse_url, query) == 1, "the call is logged")


def test_another_user_can_read_nothing_of_it(running: Up) -> None:
    address = running.clickhouse_url
    assert re.fullmatch(rf"http://default:[\w-]{{30,}}@127\.0\.0\.1:{running.clickhouse_port}", address)
    paths = [each for each in (running.data_dir, *running.data_dir.rglob("*")) if not each.is_symlink()]
    assert {running.data_dir / "logs" / "edge.log", running.data_dir / "clickhouse" / "address"} <= {*paths}
    assert [each for each in paths if each.exists() and each.stat().st_mode & 0o077] == []
    password = address.split(":")[2].partition("@")[0]
    assert [line for line in running.children().values() if password in line] == []
    assert [each for each in running.data_dir.glob("logs/*") if password in each.read_text(errors="replace")] == []


def test_a_command_in_the_same_folder_finds_the_address_by_itself(running: Up, tmp_path: Path) -> None:
    def sql(*arguments: str, said: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "deploy.cli", "sql", *arguments]
        clean = {name: value for name, value in os.environ.items() if name not in ENGINES}
        return subprocess.run(
            argv, cwd=tmp_path, env=clean | environment, input=said, capture_output=True, text=True, timeout=60
        )

    without = sql("SELECT 1", FEEDBACK_CLICKHOUSE_URL=without_password(running.clickhouse_url))
    assert (without.returncode, without.stdout, len(without.stderr.splitlines())) == (1, "", 1)
    assert "password" in without.stderr
    (tmp_path / ".feedback").symlink_to(running.data_dir)
    assert sql("SELECT 1 AS a, 'b'").stdout == "1\tb\n"
    assert sql("-", said="SELECT 1 AS a").stdout == "1\n"
    assert sql("SELECT 1 AS a", "--format", "JSONEachRow").stdout == '{"a":1}\n'
    assert sql("SELECT 1 AS a FORMAT CSVWithNames").stdout == '"a"\n1\n'
    wrong = sql("SELECT nonsense FROM feedback.feedback")
    assert (wrong.returncode, wrong.stdout, len(wrong.stderr.splitlines())) == (1, "", 1)
    assert wrong.stderr.startswith("feedback: Code: 47.")
    for change in ("DROP VIEW feedback.feedback", "CREATE TABLE made (x UInt8) ENGINE = Memory", "SET readonly = 0"):
        refused = sql(change)
        assert (refused.returncode, refused.stdout, len(refused.stderr.splitlines())) == (1, "", 1)
        assert "give --write" in refused.stderr
    assert sql("SELECT 1 AS a SETTINGS max_threads = 1").stdout == "1\n"
    assert sql("CREATE TABLE made (x UInt8) ENGINE = Memory", "--write").returncode == 0
    assert sql("DROP TABLE made", "--write").returncode == 0
    assert sql(" ").returncode == 1
    assert sql().returncode == 2


@pytest.mark.parametrize("words", ["deploy.api", "stream_workers", "clickhouse_http"])
def test_a_program_that_is_killed_comes_back_and_feedback_is_stored(running: Up, words: str) -> None:
    killed = running.child(words)
    os.kill(killed, signal.SIGKILL)
    until(lambda: running.child(words) not in (0, killed), f"{words} runs again")
    trace = f"after {words}"
    until(lambda: running.accepts(trace), "feedback is accepted")
    until(lambda: running.stored(trace) >= 1, "feedback is stored")
    assert "died (signal SIGKILL) and is started again" in running.errors.read_text()


def test_programs_that_are_frozen_are_told_and_replaced(running: Up) -> None:
    words = ["deploy.api", "stream_workers", "stream_workers.rollup.app", "clickhouse_http"]
    frozen = {each: running.child(each) for each in words}
    for pid in frozen.values():
        os.kill(pid, signal.SIGSTOP)
    until(lambda: "clickhouse does not answer its health check" in running.errors.read_text(), "it is told", seconds=30)
    for each, pid in frozen.items():
        until(lambda each=each, pid=pid: running.child(each) not in (0, pid), f"{each} is another process")
        assert is_gone(pid)
    until(lambda: running.accepts("after the frost"), "feedback is accepted")
    until(lambda: running.stored("after the frost") >= 1, "feedback is stored")
    assert "was ended (it has answered no health check for" in running.errors.read_text()


def test_an_embedded_broker_that_was_halted_goes_on_with_what_it_holds(running: Up) -> None:
    broker, worker = running.child("tansu"), running.child("stream_workers")
    os.kill(worker, signal.SIGSTOP)
    running.post("held by the broker")
    os.kill(broker, signal.SIGSTOP)
    os.kill(worker, signal.SIGCONT)
    until(lambda: "it gets SIGCONT before it is ended" in running.errors.read_text(), "it is continued")
    until(lambda: running.stored("held by the broker") == 1, "nothing was lost")
    assert running.child("tansu") == broker


def test_the_embedded_brokers_next_log_counts_on_from_a_higher_base(running: Up) -> None:
    running.post("before")
    until(lambda: running.stored("before") == 1, "feedback is stored")
    broker, worker, edge = running.child("tansu"), running.child("stream_workers"), running.child("deploy.api")
    base = int(environment_of(worker)["FEEDBACK_OFFSET_BASE"])
    os.kill(broker, signal.SIGKILL)
    until(lambda: running.child("tansu") not in (0, broker), "the broker runs again")
    until(lambda: running.child("stream_workers") not in (0, worker), "a new worker runs")
    assert is_gone(worker)
    assert running.child("deploy.api") == edge
    assert int(environment_of(running.child("stream_workers"))["FEEDBACK_OFFSET_BASE"]) > base
    until(running.is_ready, "the edge is ready again")
    running.post("after the broker")
    until(lambda: running.stored("after the broker") == 1, "feedback is stored")
    # Had the edge asked tansu for a topic in between, it would be one with other partitions.
    assert "partitions" not in running.errors.read_text()


def test_what_died_with_the_embedded_broker_is_counted_by_up_and_by_the_audit(
    running: Up, capsys: pytest.CaptureFixture[str]
) -> None:
    running.post("stored before the crash")
    until(lambda: running.stored("stored before the crash") == 1, "feedback is stored")
    broker, worker = running.child("tansu"), running.child("stream_workers")
    os.kill(worker, signal.SIGSTOP)
    for trace in ("lost a", "lost b", "lost c"):
        running.post(trace)
    os.kill(broker, signal.SIGKILL)
    until(lambda: running.child("tansu") not in (0, broker) and running.is_ready(), "the broker is back")
    said = "3 accepted records died with the broker before a worker had stored them, and are lost"
    until(lambda: said in running.errors.read_text(), "it is told")
    engines = ["--clickhouse-url", running.clickhouse_url, "--bootstrap", f"127.0.0.1:{running.kafka_port}"]
    assert cli.main(["audit", *engines]) == 1
    told = capsys.readouterr().out
    assert sum(map(int, re.findall(r": (\d+) records were gone from Kafka before a worker read them", told))) == 3
    assert cli.main(["audit", *engines, "--acknowledge"]) == 0


def test_what_the_brokers_former_log_held_can_still_be_edited(running: Up) -> None:
    identity = running.post("edited later")
    until(lambda: running.stored("edited later") == 1, "feedback is stored")
    broker = running.child("tansu")
    os.kill(broker, signal.SIGKILL)
    until(lambda: running.child("tansu") not in (0, broker) and running.is_ready(), "the broker is back")

    def edit_is_accepted() -> bool:
        reply = requests.put(f"{running.url}/v1/feedback/{identity}", json={"value": -7}, timeout=30)
        return reply.status_code == 200

    until(edit_is_accepted, "the edit is accepted")
    value = "SELECT value FROM feedback.feedback WHERE trace_id = 'edited later'"
    until(lambda: number(running.clickhouse_url, value) == -7, "the edit shows")


def test_a_second_one_on_the_same_folder_is_refused(running: Up, up: Starter) -> None:
    second = up()
    second.data_dir = running.data_dir
    assert second.refusal() == (
        f"feedback: {running.data_dir} is in use by another feedback up (process {running.process.pid}):"
        " stop that one, or give another folder with --data-dir.\n"
    )
    assert running.is_ready()


@pytest.mark.parametrize("option", ["--port", "--clickhouse-port", "--kafka-port"])
def test_a_taken_port_is_named_with_the_option_that_changes_it(up: Starter, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert up("data", option, str(port)).refusal() == (
            f"feedback: Port {port} on 127.0.0.1 cannot be had (Address already in use): stop what listens there,"
            f" or give another with {option}.\n"
        )


def test_one_port_for_two_things_is_refused(up: Starter) -> None:
    (port,) = free_ports(1)
    said = up("data", "--port", str(port), "--kafka-port", str(port)).refusal()
    assert said == f"feedback: --port and --kafka-port both mean port {port}: change one of them.\n"


def test_a_folder_that_cannot_be_is_refused(up: Starter, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "data"
    impossible = up()
    impossible.data_dir = folder
    assert impossible.refusal() == (
        f"feedback: {folder} cannot hold data (Not a directory): give another folder with --data-dir.\n"
    )


def test_a_program_that_will_not_start_is_told_with_the_end_of_its_log(up: Starter) -> None:
    nowhere = "192.0.2.1"  # for documentation, so no address of this machine
    said = up(environment={"FEEDBACK_METRICS_HOST": nowhere}).refusal()
    assert re.search("(worker-1|rollup) did not start: exit code 2", said), "whichever was first"
    assert re.search(rf"FEEDBACK_METRICS_PORT: port \d+ on {re.escape(nowhere)} cannot be had", said)
    assert "Traceback" not in said


def test_ports_of_metrics_that_another_has_are_refused_before_anything_is_started(up: Starter) -> None:
    (first, *_) = free_ports(1)
    with socket.create_server(("127.0.0.1", first + 1)):
        refused = up(environment={"FEEDBACK_METRICS_PORT": str(first)})
        assert refused.refusal() == (
            f"feedback: Port {first + 1} on 127.0.0.1 cannot be had (Address already in use): stop what listens there,"
            " or give another with FEEDBACK_METRICS_PORT (plus 1).\n"
        )
    assert not (refused.data_dir / "clickhouse").exists()


def test_settings_that_will_not_do_are_told_before_anything_is_started(up: Starter) -> None:
    faulty = {"FEEDBACK_MAX_BULK": "many", "FEEDBACK_CACHE_MB": "-1", "FEEDBACK_KEEP_TRACES_DAYS": "3"}
    assert up(environment={"FEEDBACK_MAX_BULK": "many"}).refusal().startswith("feedback: FEEDBACK_MAX_BULK must be")
    for name, value in faulty.items():
        refused = up(environment={name: value})
        said = refused.refusal()
        assert name in said
        assert value in said
        assert not (refused.data_dir / "clickhouse").exists()


def test_an_outside_clickhouse_that_is_not_there_is_told_and_ends_it(up: Starter) -> None:
    (port,) = free_ports(1)
    said = up(environment={"FEEDBACK_CLICKHOUSE_URL": f"http://me:secret@127.0.0.1:{port}"}).refusal()
    assert said == f"feedback: ClickHouse at http://127.0.0.1:{port} does not answer: is it running there?\n"


def test_engines_from_the_environment_are_used_and_not_started(up: Starter, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    with embedded(tmp_path / "outside") as outside:
        given = {**outside.environment, "FEEDBACK_OFFSET_BASE": "77"}
        mine = up(environment=given).start_and_wait()
        programs = sorted(mine.children().values())
        assert [line.split()[-1] for line in programs] == ["deploy.api", "stream_workers", "stream_workers.rollup.app"]
        mine.post("outside")
        until(lambda: stored(outside.clickhouse, "outside") == 1, "feedback is stored outside")
        assert environment_of(mine.child("stream_workers"))["FEEDBACK_OFFSET_BASE"] == "77"
        assert mine.end() == 0, mine.errors.read_text()
        assert migrate(outside.clickhouse) == []
        with clickhouse_connect.get_client(dsn=outside.clickhouse) as sql:
            columns = ["topic", "kafka_partition", "sequence"]
            sql.insert("feedback.erased_records", [("request.logs.v1", 3, 4_999)], column_names=columns)
        said = up(environment=given).refusal()
        assert "Kafka is older than ClickHouse: request.logs.v1/3 ends at offset 0, and ClickHouse has stored" in said
