"""The two engines as an operator's command meets them: reached, or named in one sentence when they are not."""

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import clickhouse_connect
from aiokafka.errors import KafkaError
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

Result = TypeVar("Result")


class CommandError(RuntimeError):
    """A command cannot be carried out; the message is for a person and says what to do."""


@contextmanager
def clickhouse(url: str) -> Iterator[Client]:
    """A client of a migrated ClickHouse. CommandError where it does not answer, refuses, or lacks a table."""
    # The driver logs each failed attempt; what it comes to is told in one sentence instead.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL + 1)
    shown = urlsplit(url)._replace(netloc=urlsplit(url).netloc.rpartition("@")[2]).geturl()
    try:
        with closing(clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False)) as client:
            yield client
    except OperationalError as error:
        raise CommandError(f"ClickHouse at {shown} does not answer: is it running there?") from error
    except ClickHouseError as error:
        words = " ".join(str(error).split())[:400]
        hint = " (run `feedback migrate` first)" if "UNKNOWN_TABLE" in words or "UNKNOWN_DATABASE" in words else ""
        raise CommandError(f"ClickHouse at {shown} refuses{hint}: {words}") from error


def kafka(bootstrap: str, work: Coroutine[Any, Any, Result]) -> Result:
    """Run what speaks to Kafka. CommandError where the broker does not answer."""
    # As above.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)
    try:
        return asyncio.run(work)
    except (KafkaError, TimeoutError, OSError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise CommandError(f"Kafka at {bootstrap} does not answer: is it running there? ({why})") from error


def offset_base(client: Client, given: int | None) -> int:
    """What workers add to offsets: as given, else as `feedback up` has left it in ClickHouse, else 0."""
    if given is not None:
        return given
    rows = client.query("SELECT value FROM feedback.settings FINAL WHERE name = 'offset_base'").result_rows
    return int(rows[0][0]) if rows else 0


def table(header: list[str], rows: list[list[Any]]) -> Iterator[str]:
    """Lines of a table, numbers to the right."""
    shown = [header, *([f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in shown) for i in range(len(header))]
    numeric = [all(isinstance(row[i], int) for row in rows) for i in range(len(header))]
    for line in shown:
        cells = (f"{c:>{w}}" if right else f"{c:<{w}}" for c, w, right in zip(line, widths, numeric, strict=True))
        yield "  ".join(cells).rstrip()
