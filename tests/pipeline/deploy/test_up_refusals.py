"""What `feedback up` refuses, in one sentence and before anything is started."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import cli
from deploy.kafka.broker import free_ports
from tests.pipeline.supervised import ENGINES, Starter, starter


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Starter]:
    """Makes supervisors of this test; whatever it leaves running is killed."""
    with starter(tmp_path) as start:
        yield start


class Refusal:
    """`feedback up` in the test's own process, where it must refuse to start anything."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, folder: Path, *options: str, **environment: str) -> str:
        """What it says."""
        given = [*options]
        for option, port in zip(("--port", "--clickhouse-port", "--kafka-port"), free_ports(3), strict=True):
            given += [] if option in options else [option, str(port)]
        mask = os.umask(0o022)
        try:
            with self._monkeypatch.context() as patch:
                for name in ENGINES:
                    patch.delenv(name, raising=False)
                for name, value in environment.items():
                    patch.setenv(name, value)
                assert cli.main(["up", "--data-dir", str(folder), *given]) == 1
        finally:
            os.umask(mask)
        assert not (folder / "logs" / "broker.log").exists()
        out, said = self._capsys.readouterr()
        assert out == ""
        return said


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refusal:
    return Refusal(monkeypatch, capsys)


@pytest.mark.parametrize("option", ["--port", "--clickhouse-port", "--kafka-port"])
def test_a_taken_port_is_named_with_the_option_that_changes_it(refusal: Refusal, tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refusal(tmp_path / "data", option, str(port)) == (
            f"feedback: Port {port} on 127.0.0.1 cannot be had (Address already in use): stop what listens there,"
            f" or give another with {option}.\n"
        )


def test_one_port_for_two_things_is_refused(refusal: Refusal, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    said = refusal(tmp_path / "data", "--port", str(port), "--kafka-port", str(port))
    assert said == f"feedback: --port and --kafka-port both mean port {port}: change one of them.\n"


def test_a_folder_that_cannot_be_is_refused(refusal: Refusal, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "data"
    assert refusal(folder) == (
        f"feedback: {folder} cannot hold data (Not a directory): give another folder with --data-dir.\n"
    )


def test_a_program_that_will_not_start_is_told_with_the_end_of_its_log(up: Starter) -> None:
    mine = up()
    unfit = mine.data_dir / "clickhouse"
    (unfit / "feedback.lock").mkdir(parents=True)
    said = mine.refusal()
    log = mine.data_dir / "logs" / "clickhouse.log"
    assert f"feedback: clickhouse did not start: exit code 1. The end of {log}:\n" in said
    assert f"\n  ClickHouse cannot write to its data directory {unfit} (Is a directory)" in said
    assert "Traceback" not in said


def test_ports_of_metrics_that_another_has_are_refused_before_anything_is_started(
    refusal: Refusal, tmp_path: Path
) -> None:
    (first, *_) = free_ports(1)
    with socket.create_server(("127.0.0.1", first + 1)):
        assert refusal(tmp_path / "data", FEEDBACK_METRICS_PORT=str(first)) == (
            f"feedback: Port {first + 1} on 127.0.0.1 cannot be had (Address already in use): stop what listens there,"
            " or give another with FEEDBACK_METRICS_PORT (plus 1).\n"
        )
    assert not (tmp_path / "data" / "clickhouse").exists()


def test_settings_that_will_not_do_are_told_before_anything_is_started(refusal: Refusal, tmp_path: Path) -> None:
    faulty = {"FEEDBACK_MAX_BULK": "many", "FEEDBACK_CACHE_MB": "-1", "FEEDBACK_KEEP_TRACES_DAYS": "3"}
    for name, value in faulty.items():
        said = refusal(tmp_path / "data", **{name: value})
        assert name in said
        assert value in said
        assert not (tmp_path / "data" / "clickhouse").exists()
    assert refusal(tmp_path / "data", FEEDBACK_MAX_BULK="many").startswith("feedback: FEEDBACK_MAX_BULK must be")


def test_an_outside_clickhouse_that_is_not_there_is_told_and_ends_it(up: Starter) -> None:
    (port,) = free_ports(1)
    said = up(environment={"FEEDBACK_CLICKHOUSE_URL": f"http://me:secret@127.0.0.1:{port}"}).refusal()
    assert said == f"feedback: ClickHouse at http://127.0.0.1:{port} does not answer: is it running there?\n"
