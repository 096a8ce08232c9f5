"""`feedback up` with API keys: what it says of them, that nothing which forgets them opens it, and how it is stopped
while a worker takes nothing."""

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import cli
from tests.pipeline.engines import until
from tests.pipeline.supervised import Starter, Up, is_gone, starter


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Starter]:
    with starter(tmp_path) as start:
        yield start


def keys(up: Up, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command says."""
    capsys.readouterr()
    assert cli.main(["keys", *words, *up.where]) == 0
    return capsys.readouterr().out


def kill_broker_and_edge(up: Up) -> None:
    """The next edge knows only what the next broker has. Return when both are others."""
    killed = {words: up.child(words) for words in ("tansu", "deploy.api")}
    for pid in killed.values():
        os.kill(pid, signal.SIGKILL)
    for words, pid in killed.items():
        up.until_replaced(words, pid)


def halt_worker(up: Up) -> None:
    until(lambda: up.child("stream_workers"), "a worker runs")
    os.kill(up.child("stream_workers"), signal.SIGSTOP)


def test_keys_outlast_all_that_forgets_them_a_second_ctrl_c_stops_at_once_and_records_that_no_worker_takes_are_counted(
    up: Starter, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = up().start_and_wait()
    assert "there is no API key, so the API is open" in mine.errors.read_text()
    assert mine.status() == 200
    good, bad = (re.findall(r"fbk_\w+", keys(mine, capsys, "create", "--scope", "admin"))[0] for _ in range(2))
    until(lambda: mine.status(bad) == 200, "the keys are known")
    keys(mine, capsys, "revoke", bad.split("_")[1])
    until(lambda: mine.status(bad) == 401, "it is revoked")
    kill_broker_and_edge(mine)

    def is_known_again() -> bool:
        assert mine.status() in (0, 401, 503), "open by accident"
        assert mine.status(bad) in (0, 401, 503), "a revoked key is back"
        return mine.status(good) == 200

    until(is_known_again, "the key is known again")
    mine.key = good
    halt_worker(mine)
    mine.post("left")
    children = mine.children()
    mine.press_ctrl_c()
    until(lambda: "stopping when all" in mine.errors.read_text(), "it says that it stops")
    started = time.monotonic()
    assert mine.end(signal.SIGINT) == 130
    assert time.monotonic() - started < 5
    assert all(is_gone(pid) for pid in children)

    mine.start_and_wait()
    assert "1 of 2 API keys is valid; every call needs one." in mine.errors.read_text()
    assert (mine.status(), mine.status(bad), mine.read_status(good)) == (401, 401, 200)
    halt_worker(mine)
    mine.post("left", 3)
    assert mine.end() == 1
    assert "feedback: 3 accepted records were not stored and are lost" in mine.errors.read_text()

    # The broker has forgotten them anyway, and now ClickHouse has lost them too.
    shutil.rmtree(mine.data_dir / "clickhouse")
    mine.start_and_wait()
    assert "was closed by keys that are lost" in mine.errors.read_text()
    assert {mine.status(), mine.status(good), mine.read_status(), mine.read_status(good)} == {401}
    assert cli.main(["keys", "open", *mine.where]) == 1
    assert mine.status() == 401
    assert "API is open" in keys(mine, capsys, "open", "--yes")
    until(lambda: (mine.status(), mine.read_status()) == (200, 200), "an operator has opened it")
    kill_broker_and_edge(mine)
    until(lambda: mine.status("whatever") == 200, "it is open again")
    assert mine.read_status() == 200
    assert mine.end() == 0, mine.errors.read_text()
