"""`feedback up` with API keys: what it says of them, and that its broker, which forgets, opens nothing."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from deploy import cli
from tests.pipeline.engines import until
from tests.pipeline.supervised import Starter, Up, starter


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Starter]:
    with starter(tmp_path) as start:
        yield start


def status(up: Up, key: str = "") -> int:
    """What a call with this key is answered; 0 where nobody answers."""
    try:
        headers = {"x-portkey-api-key": key}
        body = {"trace_id": "t", "value": 1}
        return requests.post(f"{up.url}/v1/feedback", json=body, headers=headers, timeout=30).status_code
    except requests.RequestException:
        return 0


def keys(up: Up, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command says."""
    where = ["--clickhouse-url", up.clickhouse_url, "--bootstrap", f"127.0.0.1:{up.kafka_port}"]
    capsys.readouterr()
    assert cli.main(["keys", *words, *where]) == 0
    return capsys.readouterr().out


def test_keys_outlast_a_broker_that_forgets_and_the_restart_of_all(
    up: Starter, capsys: pytest.CaptureFixture[str]
) -> None:
    running = up().start_and_wait()
    assert "there is no API key, so the API is open" in running.errors.read_text()
    assert status(running) == 200
    good, bad = (re.findall(r"fbk_\w+", keys(running, capsys, "create", "--scope", "admin"))[0] for _ in range(2))
    until(lambda: status(running, bad) == 200, "the keys are known")
    keys(running, capsys, "revoke", bad.split("_")[1])
    until(lambda: status(running, bad) == 401, "it is revoked")

    broker, edge = running.child("tansu"), running.child("deploy.api")
    os.kill(broker, signal.SIGKILL)
    os.kill(edge, signal.SIGKILL)  # the next edge knows only what the new broker has
    seen = set()
    while 200 not in seen:
        seen.add(status(running, good))
        assert status(running) in (0, 401, 503), "open by accident"
        assert status(running, bad) in (0, 401, 503), "a revoked key is back"
    assert running.child("tansu") not in (0, broker)
    assert running.child("deploy.api") not in (0, edge)
    assert running.end() == 0, running.errors.read_text()

    again = running.start_and_wait()
    assert "1 of 2 API keys is valid; every call needs one." in again.errors.read_text()
    assert (status(again), status(again, bad), status(again, good)) == (401, 401, 200)
    assert again.end() == 0, again.errors.read_text()
