"""`feedback up` with API keys: what it says of them, and that nothing which forgets them opens it."""

import os
import re
import shutil
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


def read_status(up: Up, key: str = "") -> int:
    """What a question with this key is answered."""
    return requests.get(f"{up.url}/v1/feedback", headers={"x-portkey-api-key": key}, timeout=30).status_code


def keys(up: Up, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command says."""
    capsys.readouterr()
    assert cli.main(["keys", *words, *up.where]) == 0
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

    def is_known_again() -> bool:
        assert status(running) in (0, 401, 503), "open by accident"
        assert status(running, bad) in (0, 401, 503), "a revoked key is back"
        return status(running, good) == 200

    until(is_known_again, "the key is known again")
    assert running.child("tansu") not in (0, broker)
    assert running.child("deploy.api") not in (0, edge)
    assert running.end() == 0, running.errors.read_text()

    again = running.start_and_wait()
    assert "1 of 2 API keys is valid; every call needs one." in again.errors.read_text()
    assert (status(again), status(again, bad), status(again, good)) == (401, 401, 200)
    assert again.end() == 0, again.errors.read_text()

    # The broker has forgotten them anyway, and now ClickHouse has lost them too.
    shutil.rmtree(again.data_dir / "clickhouse")
    bare = again.start_and_wait()
    assert "was closed by keys that are lost" in bare.errors.read_text()
    assert {status(bare), status(bare, good), read_status(bare), read_status(bare, good)} == {401}
    assert cli.main(["keys", "open", *bare.where]) == 1
    assert status(bare) == 401
    assert "API is open" in keys(bare, capsys, "open", "--yes")
    until(lambda: (status(bare), read_status(bare)) == (200, 200), "an operator has opened it")
    assert bare.end() == 0, bare.errors.read_text()
    assert "the API is open" in again.start_and_wait().errors.read_text()
    assert (status(again, "whatever"), read_status(again)) == (200, 200)
    assert again.end() == 0, again.errors.read_text()


@pytest.mark.kafka
@pytest.mark.skipif(
    not (shutil.which("java") and shutil.which("mvn")) and os.environ.get("FEEDBACK_REQUIRE_KAFKA") != "1",
    reason="needs java and mvn on the PATH",
)
def test_keys_outlast_a_clickhouse_that_was_lost(up: Starter, capsys: pytest.CaptureFixture[str]) -> None:
    running = up("data", "--broker", "kafka").start_and_wait()
    (key,) = re.findall(r"fbk_\w+", keys(running, capsys, "create", "--scope", "admin"))
    until(lambda: (status(running, key), read_status(running, key)) == (200, 200), "the key is known")
    assert running.end() == 0, running.errors.read_text()
    shutil.rmtree(running.data_dir / "clickhouse")
    (running.data_dir / "closed").unlink()  # so that Kafka alone knows
    again = running.start_and_wait()
    assert "1 API keys were in Kafka alone and are in ClickHouse again" in again.errors.read_text()
    for ask in (status, read_status):
        assert (ask(again), ask(again, "whatever"), ask(again, key)) == (401, 401, 200)
    assert again.end() == 0, again.errors.read_text()
