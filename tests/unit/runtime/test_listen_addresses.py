"""An address that cannot be listened on is told in one sentence by whichever program was to serve there."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.listen_addresses import cannot_listen
from tests.pipeline.forked import ended

NOBODYS = "203.0.113.9"
"""An address for documents, which no machine has."""


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def outcome(log: Path, *argv: str, **environment: str) -> tuple[int, str]:
    code, told = ended("deploy.cli", *argv, log=log, environment={**os.environ, **environment})
    return code, told.strip().splitlines()[-1]


def test_what_can_be_had_is_none_of_it() -> None:
    assert (cannot_listen("127.0.0.1", 0), cannot_listen("localhost", 0), cannot_listen("0.0.0.0", 0)) == ("", "", "")


@pytest.mark.parametrize("program", ["edge", "api"])
def test_the_api_names_the_port_that_is_taken(program: str, taken: int, tmp_path: Path) -> None:
    told = f"FEEDBACK_PORT: port {taken} on 127.0.0.1 cannot be had (Address already in use): free it, or give another."
    assert outcome(tmp_path / "log", program, FEEDBACK_PORT=str(taken)) == (2, told)


def test_the_dashboard_names_the_port_that_is_taken(taken: int, tmp_path: Path) -> None:
    told = f"--port: port {taken} on 127.0.0.1 cannot be had (Address already in use): free it, or give another."
    assert outcome(tmp_path / "log", "dashboard", "--port", str(taken)) == (2, told)


@pytest.mark.parametrize(
    ("host", "why"),
    [
        (NOBODYS, "Cannot assign requested address"),
        ("no such", "Name or service not known"),
        *((each, "no host has such a name") for each in ("..", f"{'a' * 64}.example", "\udcff")),
    ],
)
def test_a_host_that_is_not_this_machine_is_named(host: str, why: str) -> None:
    assert cannot_listen(host, 8787) == f"port 8787 on {host} cannot be had ({why})"
