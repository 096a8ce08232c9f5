"""ClickHouse as the queries reach it: connected at the first question; a 503 that says so where it does not answer.

Promises that no question outlives its time by more than as long again: neither here nor in ClickHouse, which gives up
a statement by itself, for it is not told that nobody waits for the answer any more.
"""

import asyncio
import logging
import math
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import clickhouse_connect
from aiokafka.errors import KafkaError
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import ClickHouseError

from query_api.errors import example
from query_api.settings import QuerySettings
from runtime.addresses import dsn
from runtime.engine_errors import classify_error
from runtime.http_errors import ApiError, retry_after
from runtime.kafka_errors import Engine, EngineFailure
from runtime.log_setup import safe_error_text
from runtime.metrics import QUERY_FAILURES
from runtime.schema_version import APPLIED, TablesError, require_tables

AWAY: dict[str, Any] = {
    "description": "ClickHouse does not answer.",
    **example(503, "ClickHouse does not answer in time"),
}
"""The OpenAPI response of a route that reads ClickHouse inside `Reader.query_deadline`."""

# The place of a row never changes, nor does its partition: so FINAL takes partitions one by one. To find very many keys
# in an index takes longer than to read what they are looked for in.
_SETTINGS = {
    "do_not_merge_across_partitions_select_final": 1,
    "use_index_for_in_with_subqueries_max_values": 100_000,
}

_AT_ONCE = 4
"""Statements of one workspace that run at once, of each process; its further ones wait. The embedded ClickHouse runs
eight, and exports of this process are two of them: so no workspace keeps another waiting for its own statements."""

log = logging.getLogger(__name__)


class Engines:
    """ClickHouse, connected when it is first needed."""

    def __init__(self, settings: QuerySettings) -> None:
        self._settings = settings
        self._client: AsyncClient | None = None
        self._opening = asyncio.Lock()
        self._places: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_AT_ONCE))

    def place(self, workspace: str) -> asyncio.Semaphore:
        """Holds one of the places of a workspace for a statement."""
        return self._places[workspace]

    async def clickhouse(self) -> AsyncClient:
        """Raises ClickHouseError where it does not answer, TablesError where its tables are of another version."""
        async with self._opening:
            if self._client is None:
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> AsyncClient:
        client = await clickhouse_connect.get_async_client(
            **dsn(self._settings.clickhouse_url), autogenerate_session_id=False, tz_mode="aware"
        )
        try:
            require_tables([row[0] for row in (await client.query(APPLIED)).result_rows])
        except BaseException:
            await client.close()
            raise
        return client

    def reader(self, seconds: float) -> "Reader":
        """One whose questions may take this long."""
        return Reader(self, seconds)

    async def close(self) -> None:
        """Close what was opened."""
        if self._client is not None:
            await self._client.close()


class Reader:
    """All that reads ClickHouse for an answer, within `seconds`."""

    def __init__(self, engines: Engines, seconds: float) -> None:
        self._engines, self._seconds = engines, seconds

    async def rows(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """What a query answers, times aware. Raises ClickHouseError where ClickHouse does not answer.

        It waits while statements of its workspace, which is a parameter, have all their places.
        """
        asked = dict(parameters or {})
        client = await self._engines.clickhouse()
        settings = {"max_execution_time": math.ceil(self._seconds), **_SETTINGS}
        async with self._engines.place(str(asked.get("workspace", ""))):
            return list((await client.query(query, asked, settings=settings)).named_results())

    async def command(self, statement: str, parameters: Mapping[str, Any], seconds: float) -> None:
        """Run a statement that answers nothing, for this long at most, in one thread. Raises what the client raises."""
        client = await self._engines.clickhouse()
        settings = {"max_execution_time": math.ceil(seconds), "max_threads": 1, **_SETTINGS}
        await client.command(statement, parameters=dict(parameters), settings=settings)

    @asynccontextmanager
    async def query_deadline(self, what: str, awaited: Engine = "clickhouse") -> AsyncIterator[None]:
        """Let all that is done inside take this long; ApiError 503 with `what` where an engine does not answer.

        `awaited` is the engine that is asked inside; empty: both.
        """
        try:
            async with asyncio.timeout(self._seconds):
                yield
        except (ClickHouseError, TablesError, KafkaError, TimeoutError, OSError) as error:
            failure = classify_error(error)
            if isinstance(error, TimeoutError):
                failure = replace(failure, engine=awaited)
            log.warning("%s: %s: %s", what, failure.summary, safe_error_text(error))
            QUERY_FAILURES.add(failure.engine or "any")
            message = f"{_in_words(failure)}, so {what}"
            raise ApiError(message, status=503, headers=retry_after()) from error


def _in_words(failure: EngineFailure) -> str:
    """What is wrong, for a caller who can do nothing about it, and for the operator whom they call."""
    engine = {"clickhouse": "ClickHouse", "kafka": "Kafka", "": "Kafka or ClickHouse"}[failure.engine]
    match failure.kind:
        case "away":
            return f"{engine} does not answer in time"
        case "overloaded":
            return f"{engine} is overloaded or read-only"
        case "disk full":
            return f"the disk of {engine} is full"
        case "schema":
            return "the tables in ClickHouse are not those of this version (see `feedback migrate`)"
        case "access":
            return "ClickHouse refuses the API's user or password"
        case _:
            return f"{engine} failed: see the log of the API"
