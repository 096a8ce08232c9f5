"""Connections of operators' commands to ClickHouse and Kafka. A failure becomes one sentence that names the engine.

An engine must answer a first small question within seconds; later answers may take long. The drivers are imported only
where they are used, because importing them takes longer than most commands; and so is asyncio.
"""

import logging
import re
from collections.abc import Coroutine, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from operations.plain_output import plain
from runtime.addresses import brokers, dsn, http_url, without_password
from runtime.schema_version import APPLIED, TablesError, require_tables

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Result = TypeVar("Result")

FIRST_ANSWER_S = 5
_LONGEST_ANSWER_S = 300


class CommandError(RuntimeError):
    """A command cannot be carried out. The message is for a person and says what to do."""


class EngineError(CommandError):
    """An engine (`ClickHouse` or `Kafka`) does not answer, or refuses."""

    def __init__(self, engine: str, message: str) -> None:
        super().__init__(message)
        self.engine = engine


def quiet_drivers() -> None:
    """Keep the drivers from logging failed attempts: the command reports the failure in one sentence."""
    for name in ("aiokafka", "clickhouse_connect"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def connect(url: str, longest_answer_s: float = _LONGEST_ANSWER_S) -> "Client":
    """A client of the ClickHouse at this address, which has answered. CommandError where it does not."""
    import clickhouse_connect
    from clickhouse_connect.driver.httpclient import HttpClient
    from urllib3 import Timeout

    try:
        http_url(url)
    except ValueError as error:
        raise CommandError(f"ClickHouse's address (FEEDBACK_CLICKHOUSE_URL or --clickhouse-url) {error}.") from None
    try:
        with as_command_errors(url):
            client = clickhouse_connect.get_client(
                **dsn(url),
                autogenerate_session_id=False,
                connect_timeout=FIRST_ANSWER_S,
                send_receive_timeout=FIRST_ANSWER_S,
            )
    except (TypeError, ValueError) as error:
        raise CommandError(f"ClickHouse's address {without_password(url)} has unusable parameters: {error}") from error
    assert isinstance(client, HttpClient)
    client.timeout = Timeout(connect=FIRST_ANSWER_S, read=longest_answer_s)
    return client


@contextmanager
def clickhouse(url: str) -> Iterator["Client"]:
    """A client of a ClickHouse with the tables of this version. CommandError where it does not answer or has others."""
    with closing(connect(url)) as client, as_command_errors(url):
        refuse_other_tables(client)
        yield client


def refuse_other_tables(client: "Client") -> None:
    """CommandError where the tables are not those of this version. Raises what the client raises."""
    try:
        require_tables([row[0] for row in client.query(APPLIED).result_rows])
    except TablesError as error:
        raise CommandError(str(error)) from None


@contextmanager
def as_command_errors(url: str) -> Iterator[None]:
    """Turn errors of the ClickHouse at this address into CommandErrors."""
    from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

    shown = without_password(url)
    try:
        yield
    except OperationalError as error:
        raise EngineError("ClickHouse", f"ClickHouse at {shown} {_why_no_answer(error)}") from error
    except ClickHouseError as error:
        words = server_message(error)[:400]
        hint = " (run `feedback migrate` first)" if "UNKNOWN_TABLE" in words or "UNKNOWN_DATABASE" in words else ""
        raise EngineError("ClickHouse", f"ClickHouse at {shown} refuses{hint}: {words}") from error


def server_message(error: Exception) -> str:
    """The message of ClickHouse in one line, without what the driver adds."""
    text = " ".join(str(error).split())
    text = text.partition("server response: ")[2] or text
    return text.partition(" (for url http")[0]


def kafka(bootstrap: str, work: Coroutine[Any, Any, Result]) -> Result:
    """Run work that uses Kafka. CommandError where the broker does not answer."""
    import asyncio

    from aiokafka.errors import KafkaError

    try:
        brokers(bootstrap)
    except ValueError as error:
        work.close()
        raise CommandError(
            f"Kafka's address (FEEDBACK_KAFKA_BOOTSTRAP or --bootstrap) {error}, got {bootstrap!r}."
        ) from None
    try:
        return asyncio.run(_once_it_answers(bootstrap, work))
    except (KafkaError, TimeoutError, OSError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise EngineError("Kafka", f"Kafka at {bootstrap} does not answer: is it running there? ({why})") from error


async def _once_it_answers(bootstrap: str, work: Coroutine[Any, Any, Result]) -> Result:
    import asyncio

    from runtime.kafka_admin import kafka_admin

    try:
        async with asyncio.timeout(FIRST_ANSWER_S), kafka_admin(bootstrap):
            pass
    except TimeoutError:
        work.close()
        raise EngineError(
            "Kafka", f"Kafka at {bootstrap} does not answer within {FIRST_ANSWER_S:g} s: is it frozen or overloaded?"
        ) from None
    except BaseException:
        work.close()
        raise
    return await work


def offset_base(client: "Client", given: int | None) -> int:
    """What workers add to offsets: as given, else as `feedback up` has noted it in ClickHouse, else 0."""
    if given is not None:
        return given
    rows = client.query("SELECT value FROM feedback.settings FINAL WHERE name = 'offset_base'").result_rows
    return int(rows[0][0]) if rows else 0


def table(header: list[str], rows: list[list[Any]]) -> Iterator[str]:
    """The lines of a table; columns of numbers are aligned to the right."""
    shown = [header, *([f"{cell:,}" if isinstance(cell, int) else plain(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in shown) for i in range(len(header))]
    numeric = [all(isinstance(row[i], int) for row in rows) for i in range(len(header))]
    for line in shown:
        cells = (f"{c:>{w}}" if right else f"{c:<{w}}" for c, w, right in zip(line, widths, numeric, strict=True))
        yield "  ".join(cells).rstrip()


def _why_no_answer(error: BaseException) -> str:
    from urllib3.exceptions import ProtocolError, ReadTimeoutError, SSLError

    causes = list(_causes(error))
    for each in causes:
        if isinstance(each, ReadTimeoutError):
            waited = re.search(r"read timeout=(\d+)", str(each))
            within = f" within {waited[1]} s" if waited else ""
            return f"accepts connections and does not answer{within}: is it frozen or overloaded?"
    if any(isinstance(each, SSLError) for each in causes):
        return "cannot be spoken to over https: is it http:// there, or a certificate that nobody here trusts?"
    if any(isinstance(each, ProtocolError) for each in causes):
        return "breaks off or does not speak HTTP: is that its HTTP port?"
    return "does not answer: is it running there?"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        reason = getattr(error, "reason", None)  # urllib3 keeps the cause there
        error = error.__cause__ or error.__context__ or (reason if isinstance(reason, BaseException) else None)
