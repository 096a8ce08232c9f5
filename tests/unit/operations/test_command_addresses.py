"""Whatever is written for an engine's address, each command says in one sentence what is wrong, within seconds.

The first command tries all addresses, each other one some, drawn anew in each run.
"""

import argparse
import contextlib
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import cli
from deploy.command_line import parser
from operations import connections
from runtime.addresses import brokers, http_url, without_password
from tests.tries import tries

CLICKHOUSE = (
    ["migrate"],
    ["audit"],
    ["reconcile"],
    ["erase", "--user", "u"],
    ["expire"],
    ["orphans"],
    ["sql", "SELECT 1"],
    ["demo"],
    ["dead", "list"],
    ["dead", "show", "feedback.events.v1/0/0"],
    ["dead", "redrive", "feedback.events.v1/0/0"],
    ["keys", "create", "--scope", "admin"],
    ["keys", "list"],
    ["keys", "revoke", "0123456789ab"],
    ["keys", "publish"],
)
KAFKA = (["topics"], ["replay", "--from-time", "2026-01-31"])
NO_PROGRAMS = {"up", "api", "edge", "dashboard", "gateway", "worker", "rollup", "version"}
WRONG_URLS = [
    "",
    "http://",
    "http://:8123",
    "127.0.0.1:8123",
    "localhost",
    "ftp://127.0.0.1:8123",
    "http://127.0.0.1:99999",
    "http://127.0.0.1:0",
    "http://127.0.0.1:",
    "http://127.0.0.1:port",
    "http://127.0.0.1:-1",
    "http://user:s3cret/s3cret@127.0.0.1:8123",
    "http://user:s3cret@",
    "http://a b:8123",
    "http://127.0.0.1:8123 ",
    "http://127.0.0.1:8123\n",
    "http://[::1",
    "http://[not-six]:8123",
    "http://☃:8123",
    f"http://{'a' * 300}:8123",
    "http://a..b:8123",
    "http://127.0.0.1:1/?unknown=1",
    "http://127.0.0.1:1/?connect_timeout=soon",
]
AWAY_URLS = [
    "http://127.0.0.1:1",
    "https://127.0.0.1:1",
    "http://s3cret@127.0.0.1:1",
    "http://user:s3cret@127.0.0.1:1/path",
    "http://no.such.host.invalid:8123",
    "http://[::1]:1",
]
WRONG_BROKERS = [
    "",
    ",",
    "127.0.0.1",
    "localhost",
    "127.0.0.1:",
    ":9092",
    "127.0.0.1:0",
    "127.0.0.1:99999",
    "127.0.0.1:port",
    "127.0.0.1:9092,",
    "http://127.0.0.1:9092",
    "a b:9092",
    "user@host:9092",
    "[::1",
    "::1",
    "[::1]",
    "☃:9092",
    f"{'a' * 300}:9092",
    "..:9092",
    "127.0.0.1:9092:9092",
]


def some(addresses: list[str], command: list[str], usual: int) -> list[str]:
    """Those that a command tries: the one that comes first tries all."""
    return addresses if command is CLICKHOUSE[0] else random.sample(addresses, min(tries(usual), len(addresses)))


def refusal(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says when it cannot be carried out: one sentence, exit 1."""
    assert cli.main(command) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("feedback: ")
    assert err.count("\n") == 1
    assert "s3cret" not in err
    return err


def test_no_command_is_left_out_here() -> None:
    (subparsers,) = (a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    assert {command[0] for command in (*CLICKHOUSE, *KAFKA)} == set(subparsers.choices) - NO_PROGRAMS


@pytest.mark.parametrize("command", CLICKHOUSE, ids=" ".join)
def test_a_wrong_address_of_clickhouse_is_one_sentence(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in some(WRONG_URLS, command, 6):
        assert "ClickHouse" in refusal([*command, f"--clickhouse-url={url}"], capsys), url
    for url in some(AWAY_URLS, command, 2):
        assert "does not answer: is it running there?" in refusal([*command, f"--clickhouse-url={url}"], capsys), url
    monkeypatch.setenv("FEEDBACK_CLICKHOUSE_URL", "127.0.0.1:8123")
    assert "FEEDBACK_CLICKHOUSE_URL" in refusal(command, capsys)


@pytest.mark.parametrize("command", KAFKA, ids=" ".join)
def test_a_wrong_address_of_kafka_is_one_sentence(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for bootstrap in WRONG_BROKERS:
        told = refusal([*command, f"--bootstrap={bootstrap}"], capsys)
        assert f"must be host:port, or several with commas between them, got {bootstrap!r}" in told
    for bootstrap in ("127.0.0.1:1", "no.such.host.invalid:9092", "127.0.0.1:1,[::1]:1"):
        assert f"Kafka at {bootstrap} does not answer" in refusal([*command, "--bootstrap", bootstrap], capsys)
    monkeypatch.setenv("FEEDBACK_KAFKA_BOOTSTRAP", "localhost")
    assert "FEEDBACK_KAFKA_BOOTSTRAP" in refusal(command, capsys)


@contextlib.contextmanager
def frozen() -> Iterator[str]:
    """A host and port where connections are accepted and nobody ever says anything, as of a process that is halted."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_an_engine_that_is_frozen_is_told_in_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "FIRST_ANSWER_S", 1)
    with frozen() as place:
        for command in (["orphans"], ["migrate"]):
            told = refusal([*command, f"--clickhouse-url=http://{place}"], capsys)
            assert f"http://{place} accepts connections and does not answer within 1 s: is it frozen" in told
        told = refusal(["topics", "--bootstrap", place], capsys)
        assert f"{place} does not answer within 1 s: is it frozen" in told


def test_what_is_no_tls_and_what_is_no_http_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer_nonsense() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = server.accept()
                    with peer:
                        peer.settimeout(10)
                        peer.recv(65536)
                        peer.sendall(b"nonsense\r\n\r\n")

        talker = threading.Thread(target=answer_nonsense, daemon=True)
        talker.start()
        place = f"127.0.0.1:{server.getsockname()[1]}"
        try:
            assert "is it http:// there" in refusal(["orphans", f"--clickhouse-url=https://{place}"], capsys)
            assert "does not speak HTTP" in refusal(["orphans", f"--clickhouse-url=http://{place}"], capsys)
        finally:
            server.shutdown(socket.SHUT_RDWR)
            talker.join()


@pytest.mark.parametrize(
    "url", ["http://h:8123", "https://u:p%2Fw@h.example/db", "http://[::1]:8123", "http://click_house:1", "http://h"]
)
def test_a_right_address_stays_as_it_is(url: str) -> None:
    assert http_url(url) == url


def test_brokers_lose_the_spaces_between_them() -> None:
    assert brokers("a.example:9092, [::1]:9093") == "a.example:9092,[::1]:9093"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:secret@db:8123/x", "http://db:8123/x"),
        ("http://me:secret/secret@db:8123", "http://db:8123"),
        ("http://me:secret@secret@db:8123", "http://db:8123"),
        ("me:secret@db:8123", "db:8123"),
        ("http://db:8123", "http://db:8123"),
        ("http://db:8123/?user=me&password=secret", "http://db:8123/?…"),
        ("https://h/v1?key=secret&next=http://a", "https://h/v1?…"),
        ("https://h#secret", "https://h?…"),
        ("https://me:secret@h, https://me:secret@i,https://j?key=secret", "https://h, https://i,https://j?…"),
        ("me:secret@db:8123?key=secret", "db:8123?…"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


@pytest.mark.parametrize("command", [["demo"], ["dead", "redrive"], ["keys", "list"], ["topics"]])
def test_a_command_finds_the_kafka_of_feedback_up_in_this_folder_unless_it_is_told_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FEEDBACK_KAFKA_BOOTSTRAP", raising=False)
    assert parser().parse_args(command).bootstrap == "127.0.0.1:9092"
    (tmp_path / ".feedback").mkdir()
    (tmp_path / ".feedback" / "kafka_address").write_text("127.0.0.1:19092\n")
    assert parser().parse_args(command).bootstrap == "127.0.0.1:19092"
    monkeypatch.setenv("FEEDBACK_KAFKA_BOOTSTRAP", "kafka:9092")
    assert parser().parse_args(command).bootstrap == "kafka:9092"
    assert parser().parse_args([*command, "--bootstrap", "other:1"]).bootstrap == "other:1"
