"""ClickHouse as the queries reach it: connected at the first question; a 503 that says so where it does not answer.

Promises that no question outlives its time by more than as long again: neither here nor in ClickHouse, which gives up
a statement by itself, for it is not told that nobody waits for the answer any more.
"""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import clickhouse_connect
from aiokafka.errors import KafkaError
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import ClickHouseError

from query_api.answers import QueryError, example
from query_api.settings import QuerySettings
from schemas.addresses import dsn
from schemas.logs import told
from schemas.metrics import QUERY_FAILURES

RETRY_AFTER_S = 1
_CLICKHOUSE = ("ClickHouse", "clickhouse")
AWAY: dict[str, Any] = {
    "description": "ClickHouse does not answer.",
    **example(503, "ClickHouse does not answer in time"),
}
"""The OpenAPI response of a route that reads ClickHouse inside `Reader.told_in_time`."""

log = logging.getLogger(__name__)


class Engines:
    """ClickHouse, connected when it is first needed."""

    def __init__(self, settings: QuerySettings) -> None:
        self._settings = settings
        self._client: AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def clickhouse(self) -> AsyncClient:
        """Raises ClickHouseError where it does not answer."""
        async with self._opening:
            if self._client is None:
                self._client = await clickhouse_connect.get_async_client(
                    **dsn(self._settings.clickhouse_url), autogenerate_session_id=False, tz_mode="aware"
                )
            return self._client

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
        """What a query answers, times aware. Raises ClickHouseError where ClickHouse does not answer."""
        client = await self._engines.clickhouse()
        limit = {"max_execution_time": math.ceil(self._seconds)}
        return list((await client.query(query, dict(parameters or {}), settings=limit)).named_results())

    @asynccontextmanager
    async def told_in_time(self, what: str) -> AsyncIterator[None]:
        """Let all that is done inside take this long; QueryError 503 with `what` where an engine does not answer."""
        try:
            async with asyncio.timeout(self._seconds):
                yield
        except (ClickHouseError, KafkaError, TimeoutError, OSError) as error:
            log.warning("%s: %s", what, told(error))
            away = {KafkaError: ("Kafka", "kafka"), TimeoutError: ("Kafka or ClickHouse", "any")}
            engine, name = next((names for kind, names in away.items() if isinstance(error, kind)), _CLICKHOUSE)
            QUERY_FAILURES.add(name)
            message = f"{engine} does not answer in time, so {what}"
            raise QueryError(message, status=503, headers={"retry-after": str(RETRY_AFTER_S)}) from error
