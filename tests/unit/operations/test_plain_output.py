"""No command has a terminal obey what callers have given as ids and names."""

import argparse
import io
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from deploy import cli, command_line
from operations.connections import CommandError, table
from operations.plain_output import PlainOutput, plain

CLEAR = "\x1b[2J"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("trace 7 é 漢 👍", "trace 7 é 漢 👍"),
        (f"{CLEAR}a", r"\x1b[2Ja"),
        ("\x9b2Ja\x07\r\n\t", r"\x9b2Ja\x07\r\n\t"),
        ("a\u202eb\u200b\ud800", r"a\u202eb\u200b\ud800"),
    ],
)
def test_what_is_not_printable_is_written_as_an_escape(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_cell_of_a_table_stays_in_its_line_and_column() -> None:
    lines = list(table(["id", "n"], [[f"{CLEAR}\na", 1], ["b", 22]]))
    assert lines == ["id           n", r"\x1b[2J\na   1", "b           22"]


def test_lines_and_tabs_get_through_and_bytes_are_as_they_are() -> None:
    taken = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="")
    print(f"a\tb\n{CLEAR}", file=PlainOutput(taken))
    taken.seek(0)
    assert taken.read() == "a\tb\n\\x1b[2J\n"


def run_as_command(run: Callable[[argparse.Namespace], int], monkeypatch: pytest.MonkeyPatch) -> int:
    parsed = SimpleNamespace(parse_args=lambda _: argparse.Namespace(run=run))
    monkeypatch.setattr(command_line, "parser", lambda: parsed)
    return cli.main([])


def test_every_command_prints_plain(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def printing(_: argparse.Namespace) -> int:
        print(CLEAR)
        raise CommandError(f"no such trace {CLEAR}")

    assert run_as_command(printing, monkeypatch) == 1
    assert capsys.readouterr() == ("\\x1b[2J\n", "feedback: no such trace \\x1b[2J\n")


@pytest.mark.parametrize("is_terminal", [True, False])
def test_an_answer_in_sql_is_plain_on_a_terminal_and_exact_elsewhere(is_terminal: bool) -> None:
    answer = f"é{CLEAR}\n".encode()
    asking = (
        "import io, sys, types; from operations import sql_command; from operations.plain_output import PlainOutput;"
        "sys.stdout = PlainOutput(sys.stdout);"
        f"client = types.SimpleNamespace(raw_stream=lambda *_, **__: io.BytesIO({answer!r}));"
        "sql_command._CHUNK_BYTES = 1; sql_command._print(client, '', 'TabSeparated', writes=False); sys.stdout.flush()"
    )
    ours, theirs = pty.openpty() if is_terminal else os.pipe()
    subprocess.run([sys.executable, "-c", asking], stdout=theirs, check=True, env={**os.environ, "PYTHONUTF8": "1"})
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as said:
        assert said.read(100) == ("é\\x1b[2J\r\n".encode() if is_terminal else answer)
