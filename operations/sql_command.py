"""`feedback sql`: sends one statement to ClickHouse and prints the answer.

Any ClickHouse client can do that. This command finds the address and password by itself, and changes nothing unless it
is told to: whoever may ask for the address may also drop every table.
"""

import argparse
import sys
from codecs import getincrementaldecoder
from typing import Any

from operations import command_options as options
from operations.connections import CommandError, as_command_errors, connect, server_message

_DESCRIPTION = (
    "Sends one statement to ClickHouse and prints its answer: a table where stdout is a terminal, else lines with tabs"
    " between values. A FORMAT in the statement comes first. It changes nothing without --write."
)
_CHUNK_BYTES = 1 << 16
_READ_ONLY = "2"
"""ClickHouse's setting `readonly` for a statement that may have settings of its own and change no data."""


def add_to(commands: Any) -> None:
    """Register the command with the subparsers of `feedback`."""
    sql = commands.add_parser(
        "sql", help="ask ClickHouse: one statement, its answer on stdout", description=_DESCRIPTION
    )
    sql.add_argument("statement", metavar="STATEMENT", help="the statement; - reads it from stdin")
    sql.add_argument("--format", metavar="F", help="any of ClickHouse's, as CSVWithNames, JSONEachRow or Vertical")
    sql.add_argument("--write", action="store_true", help="let the statement change data and tables")
    options.add_clickhouse(sql)
    sql.set_defaults(run=_sql)


def _sql(args: argparse.Namespace) -> int:
    from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

    statement = sys.stdin.read() if args.statement == "-" else args.statement
    if not statement.strip():
        raise CommandError(
            'There is no statement: give one, as in `feedback sql "SELECT count() FROM feedback.feedback"`.'
        )
    form = args.format or ("PrettyCompact" if sys.stdout.isatty() else "TabSeparated")
    client = connect(args.clickhouse_url)
    try:
        with as_command_errors(args.clickhouse_url):
            _print(client, statement, form, writes=args.write)
    except CommandError as error:
        refused = error.__cause__
        if isinstance(refused, DatabaseError) and not isinstance(refused, OperationalError):
            message = server_message(refused)
            if not args.write and "(READONLY)" in message:
                raise CommandError(
                    f"The statement may change something: give --write if it should. {message}"
                ) from error
            raise CommandError(message) from error
        raise
    finally:
        client.close()
    return 0


def _print(client: Any, statement: str, form: str, *, writes: bool) -> None:
    # ClickHouse buffers the whole answer first, so that an error is not preceded by a part of an answer.
    settings = {"wait_end_of_query": "1"} | ({} if writes else {"readonly": _READ_ONLY})
    answer = client.raw_stream(statement, settings=settings, transport_settings={"X-ClickHouse-Format": form})
    # Bytes are written as they are, but to a terminal as text that it cannot obey.
    text = getincrementaldecoder("utf-8")("backslashreplace") if sys.stdout.isatty() else None
    while chunk := answer.read(_CHUNK_BYTES):
        if text is None:
            sys.stdout.buffer.write(chunk)
        else:
            sys.stdout.write(text.decode(chunk))
