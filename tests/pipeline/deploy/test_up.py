"""`feedback up` as its user meets it: the ready line, and what is started again."""

import asyncio
import io
import json
import os
import re
import shlex
import signal
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
from tests.pipeline.running import newest_messages
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


def test_it_loads_no_pandas_and_its_rollup_program_no_arrow_which_would_be_in_vain(running: Up) -> None:
    its, rollup, worker = (
        Path(f"/proc/{pid}/maps")
        for pid in (running.process.pid, running.child("stream_workers.rollup.app"), running.child("stream_workers"))
    )
    if not its.exists():
        pytest.skip("this system does not show what a process has loaded")
    assert "pydantic" in its.read_text()
    assert "pandas" not in its.read_text()
    assert "pyarrow" in worker.read_text()
    assert "pyarrow" not in rollup.read_text()
    assert "numpy" not in rollup.read_text()


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


def test_a_command_in_the_same_folder_finds_the_address_by_itself(
    running: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def sql(*arguments: str, said: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(said))
        code = cli.main(["sql", *arguments])
        return code, *capsys.readouterr()

    (tmp_path / ".feedback").symlink_to(running.data_dir)
    monkeypatch.chdir(tmp_path)
    for name in ENGINES:
        monkeypatch.delenv(name, raising=False)
    program = [sys.executable, "-m", "deploy.cli", "sql", "SELECT 1 AS a, 'b'"]
    assert subprocess.run(program, capture_output=True, text=True, check=True, timeout=60).stdout == "1\tb\n"
    assert sql("-", said="SELECT 1 AS a") == (0, "1\n", "")
    assert sql("SELECT 1 AS a", "--format", "JSONEachRow") == (0, '{"a":1}\n', "")
    assert sql("SELECT 1 AS a FORMAT CSVWithNames") == (0, '"a"\n1\n', "")
    code, out, error = sql("SELECT nonsense FROM feedback.feedback")
    assert (code, out, len(error.splitlines())) == (1, "", 1)
    assert error.startswith("feedback: Code: 47.")
    for change in ("DROP VIEW feedback.feedback", "CREATE TABLE made (x UInt8) ENGINE = Memory", "SET readonly = 0"):
        code, out, error = sql(change)
        assert (code, out, len(error.splitlines())) == (1, "", 1)
        assert "give --write" in error
    assert sql("SELECT 1 AS a SETTINGS max_threads = 1") == (0, "1\n", "")
    assert sql("CREATE TABLE made (x UInt8) ENGINE = Memory", "--write")[0] == 0
    assert sql("DROP TABLE made", "--write")[0] == 0
    assert sql(" ")[0] == 1
    assert sql()[0] == 2
    monkeypatch.setenv("FEEDBACK_CLICKHOUSE_URL", without_password(running.clickhouse_url))
    code, out, error = sql("SELECT 1")
    assert (code, out, len(error.splitlines())) == (1, "", 1)
    assert "password" in error


@pytest.mark.parametrize("words", ["deploy.api", "stream_workers", "clickhouse_http"])
def test_a_program_that_is_killed_comes_back_and_feedback_is_stored(running: Up, words: str) -> None:
    killed = running.child(words)
    os.kill(killed, signal.SIGKILL)
    running.until_replaced(words, killed)
    trace = f"after {words}"
    until(lambda: running.accepts(trace), "feedback is accepted")
    until(lambda: running.stored(trace) >= 1, "feedback is stored")
    assert "died (signal SIGKILL) and is started again" in running.errors.read_text()


def test_programs_that_are_frozen_are_told_and_replaced_and_the_broker_goes_on_with_what_it_holds(running: Up) -> None:
    words = ["deploy.api", "stream_workers", "stream_workers.rollup.app", "clickhouse_http"]
    frozen, broker = {each: running.child(each) for each in words}, running.child("tansu")
    os.kill(frozen["stream_workers"], signal.SIGSTOP)
    running.post("held by the broker")
    for pid in (*frozen.values(), broker):
        os.kill(pid, signal.SIGSTOP)
    until(lambda: "clickhouse does not answer its health check" in running.errors.read_text(), "it is told", seconds=30)
    until(lambda: "it gets SIGCONT before it is ended" in running.errors.read_text(), "the broker is continued")
    for each, pid in frozen.items():
        running.until_replaced(each, pid)
        assert is_gone(pid)
    until(lambda: running.stored("held by the broker") == 1, "nothing was lost")
    assert running.child("tansu") == broker
    until(lambda: running.accepts("after the frost"), "feedback is accepted")
    until(lambda: running.stored("after the frost") >= 1, "feedback is stored")
    assert "was ended (it has answered no health check for" in running.errors.read_text()


def kill_broker(running: Up) -> None:
    """Return when the next one has topics and the edge writes to them."""
    broker = running.child("tansu")
    os.kill(broker, signal.SIGKILL)
    running.until_replaced("tansu", broker)
    until(running.is_ready, "the edge is ready again")


def test_the_embedded_brokers_next_log_has_a_higher_base_and_former_feedback_can_be_edited_and_what_died_is_counted(
    running: Up, capsys: pytest.CaptureFixture[str]
) -> None:
    identity = running.post("edited later")
    until(lambda: running.stored("edited later") == 1, "feedback is stored")
    worker, edge = running.child("stream_workers"), running.child("deploy.api")
    base = int(environment_of(worker)["FEEDBACK_OFFSET_BASE"])
    kill_broker(running)
    running.until_replaced("stream_workers", worker)
    assert is_gone(worker)
    assert running.child("deploy.api") == edge
    worker = running.child("stream_workers")
    assert int(environment_of(worker)["FEEDBACK_OFFSET_BASE"]) > base
    edit = requests.put(f"{running.url}/v1/feedback/{identity}", json={"value": -7}, timeout=30)
    assert edit.status_code == 200, edit.text
    value = "SELECT value FROM feedback.feedback WHERE trace_id = 'edited later'"
    until(lambda: number(running.clickhouse_url, value) == -7, "the edit shows")
    # Had the edge asked tansu for a topic in between, it would be one with other partitions.
    assert "partitions" not in running.errors.read_text()

    traces = ("lost a", "lost b", "lost c")
    for trace in traces:
        running.post(trace)
    until(lambda: all(running.stored(trace) == 1 for trace in traces), "feedback is stored")
    # The next edge does not know what this one has sent.
    os.kill(edge, signal.SIGKILL)
    running.until_replaced("deploy.api", edge)
    until(running.is_ready, "the edge is ready again")
    os.kill(worker, signal.SIGSTOP)
    for trace in traces:
        running.post(trace)
    kill_broker(running)
    said = "3 accepted records died with the broker before a worker had stored them, and are lost"
    until(lambda: said in running.errors.read_text(), "it is told")
    assert cli.main(["audit", *running.where]) == 1
    told = capsys.readouterr().out
    assert sum(map(int, re.findall(r": (\d+) records were gone from Kafka before a worker read them", told))) == 3
    assert cli.main(["audit", *running.where, "--acknowledge"]) == 0


def test_what_a_worker_had_stored_in_part_when_the_broker_died_is_whole_again_without_an_operator(running: Up) -> None:
    identity = running.post("half stored")
    until(lambda: running.stored("half stored") == 1, "the feedback is stored")
    of_trace = "WHERE trace_id = 'half stored'"
    request = {"request": {"provider": "p", "body": {"model": "m"}}, "response": {"status": 200, "body": {}}}

    def tell(statement: str) -> None:
        requests.post(running.clickhouse_url, data=statement, timeout=30).raise_for_status()

    def ask(query: str) -> int:
        return number(running.clickhouse_url, query)

    tell("ALTER TABLE feedback.feedback_rows MODIFY SETTING max_parts_in_total = 1")
    try:
        logged = {**request, "metadata": {"trace_id": "half stored"}}
        (logged_id,) = requests.post(f"{running.url}/v1/logs", json=logged, timeout=30).json()["ids"]
        until(lambda: ask(f"SELECT count() FROM feedback.journal WHERE id = '{logged_id}'"), "it is in the journal")
        kill_broker(running)
    finally:
        tell("ALTER TABLE feedback.feedback_rows RESET SETTING max_parts_in_total")
    joined = f"SELECT count() FROM feedback.feedback {of_trace} AND models = ['m']"
    until(lambda: ask(joined) == 1, "the feedback is joined")
    assert "killed workers had stored 1 trace in part" in running.errors.read_text()
    assert ask(f"SELECT count() FROM feedback.request_logs {of_trace}") == 1
    until(
        lambda: ask(f"SELECT sum(requests) FROM feedback.trace_aggregates {of_trace}") == 1, "the aggregate counts it"
    )
    messages = asyncio.run(newest_messages(f"127.0.0.1:{running.kafka_port}", "feedback.enriched.v1"))
    message = messages[identity]
    assert message is not None
    assert message["models"] == ["m"]
    by_model = "SELECT sum(feedback_count) FROM feedback.rollups WHERE dimension = 'model' AND key = 'm'"
    until(lambda: ask(by_model) > 0, "the rollups count it")
    assert cli.main(["reconcile", "--clickhouse-url", running.clickhouse_url]) == 0


def test_a_second_one_on_the_same_folder_is_refused(running: Up, up: Starter) -> None:
    second = up()
    second.data_dir = running.data_dir
    assert second.refusal() == (
        f"feedback: {running.data_dir} is in use by another feedback up (process {running.process.pid}):"
        " stop that one, or give another folder with --data-dir.\n"
    )
    assert running.is_ready()


def test_engines_from_the_environment_are_used_and_not_started_and_a_program_that_keeps_dying_ends_everything(
    up: Starter, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    with embedded(tmp_path / "outside") as outside:
        given = {**outside.environment, "FEEDBACK_OFFSET_BASE": "77"}
        mine = up(environment=given).start_and_wait()
        children = mine.children()
        programs = [line.split()[-1] for line in children.values()]
        assert sorted(programs) == ["deploy.api", "stream_workers", "stream_workers.rollup.app"]
        mine.post("outside")
        until(lambda: stored(outside.clickhouse, "outside") == 1, "feedback is stored outside")
        assert environment_of(mine.child("stream_workers"))["FEEDBACK_OFFSET_BASE"] == "77"

        def ended() -> bool:
            if edge := mine.child("deploy.api"):
                os.kill(edge, signal.SIGKILL)
            return mine.process.poll() is not None

        until(ended, "it gives up")
        assert mine.process.returncode == 1
        assert f"edge died 5 times within a minute: see {mine.data_dir}/logs/edge.log." in mine.errors.read_text()
        assert all(is_gone(pid) for pid in children)

        assert migrate(outside.clickhouse) == []
        with clickhouse_connect.get_client(dsn=outside.clickhouse) as sql:
            columns = ["topic", "kafka_partition", "sequence"]
            sql.insert("feedback.erased_records", [("request.logs.v1", 3, 4_999)], column_names=columns)
        said = up(environment=given).refusal()
        assert "Kafka is older than ClickHouse: request.logs.v1/3 ends at offset 0, and ClickHouse has stored" in said
