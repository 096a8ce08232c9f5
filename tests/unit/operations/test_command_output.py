"""A command whose output nobody takes: it ends quietly where the reader has gone, and says so where a disk is full."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REFUSED = ["orphans", "--clickhouse-url", "nowhere"]


def run(command: list[str], stdout: int, stderr: int = subprocess.PIPE, unbuffered: str = "") -> tuple[int, str]:
    argv = [sys.executable, "-m", "deploy.cli", *command]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(argv, stdout=stdout, stderr=stderr, env=environment, text=True, check=False)
    return done.returncode, done.stderr or ""


def closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["version", "--help"])
def test_a_reader_that_has_gone_ends_a_command_quietly(command: str, unbuffered: str) -> None:
    code, told = run([command], closed_pipe(), unbuffered=unbuffered)
    assert (code in (0, 141), told) == (True, "")


def test_nobody_reads_what_is_wrong_either() -> None:
    pipe = closed_pipe()
    assert run(REFUSED, pipe, pipe) == (141, "")


def test_output_that_a_full_disk_does_not_take_is_told() -> None:
    with Path("/dev/full").open("w") as full:
        code, told = run(["version"], full.fileno())
    assert (code, told) == (1, "feedback: it cannot go on: [Errno 28] No space left on device\n")


def test_what_is_wrong_is_told_although_nobody_reads_the_rest() -> None:
    code, told = run(REFUSED, closed_pipe())
    assert (code, told.count("\n")) == (1, 1)
    assert told.startswith("feedback: ClickHouse's address")


def test_a_command_line_is_read_without_the_libraries_that_some_commands_need() -> None:
    """They take four times as long to import as all that the command line itself needs."""
    reading = "import sys; from deploy.command_line import parser; parser(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", reading], capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert "operations.api_keys.commands" in modules
    assert not modules & {"pydantic", "msgspec", "asyncio", "aiokafka", "clickhouse_connect", "importlib.metadata"}


@pytest.mark.parametrize("closed", [(1,), (0, 1, 2)])
def test_streams_that_the_caller_has_closed_are_not_missed(closed: tuple[int, ...]) -> None:
    """A command ended with a stack trace, and its first files took the numbers of the streams."""
    argv = [sys.executable, "-m", "deploy.cli", "version"]

    def close() -> None:
        for number in closed:
            os.close(number)

    done = subprocess.run(argv, stderr=subprocess.PIPE, preexec_fn=close, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("imported", ["deploy.command_line", "operations.connections"])
def test_ctrl_c_while_modules_are_imported_ends_a_command_quietly(imported: str) -> None:
    interrupting = f"""if True:
        import signal, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background inherit that it is ignored
        class Interrupt:
            def find_spec(self, name, path=None, target=None):
                if name == "{imported}":
                    signal.raise_signal(signal.SIGINT)
        sys.meta_path.insert(0, Interrupt())
        from deploy.cli import main
        sys.exit(main(["version"]))
    """
    done = subprocess.run([sys.executable, "-c", interrupting], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
