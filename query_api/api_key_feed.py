"""The API keys of the queries, read from ClickHouse about once a second."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from clickhouse_connect.driver.exceptions import ClickHouseError
from pydantic import ValidationError

from query_api.clickhouse import Engines
from runtime.api_key_authentication import ApiKeyAuthenticator
from runtime.background_tasks import BackgroundTask
from runtime.schema_version import TablesError
from schemas.api_keys import STORED_KEYS, key_of_row

_EVERY_S = 1.0
_UNTIL_THE_FIRST_S = 0.2
_ANSWER_S = 10.0
_START_S = 2.0

log = logging.getLogger(__name__)


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def refreshing(authenticator: ApiKeyAuthenticator, engines: Engines) -> AsyncIterator[None]:
    """Refresh the keys while inside. Enters once they have been read, or after two seconds where they cannot be."""
    read = asyncio.Event()
    keeper = BackgroundTask("reading API keys from ClickHouse", lambda: _keep(authenticator, engines, read))
    keeper.start()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(read.wait(), _START_S)
    try:
        yield
    finally:
        await keeper.stop()


async def _keep(authenticator: ApiKeyAuthenticator, engines: Engines, read: asyncio.Event) -> None:
    reader = engines.reader(_ANSWER_S)
    logged_fault = ""
    unreadable: set[object] = set()
    while True:
        try:
            asked_ms = now_ms()
            async with asyncio.timeout(_ANSWER_S):
                rows = await reader.rows(STORED_KEYS)
            for row in rows:
                _upsert(authenticator, row, unreadable)
            authenticator.mark_fresh(asked_ms)
            read.set()
            fault = ""
        except (ClickHouseError, TablesError, OSError, TimeoutError) as error:
            fault = " ".join(str(error).split())[:300] or type(error).__name__
        if fault and not logged_fault:
            log.warning("the API keys cannot be read from ClickHouse: %s", fault)
        logged_fault = fault
        await asyncio.sleep(_EVERY_S if read.is_set() else _UNTIL_THE_FIRST_S)


def _upsert(authenticator: ApiKeyAuthenticator, row: dict[str, Any], unreadable: set[object]) -> None:
    try:
        authenticator.store.upsert(key_of_row(row))
    except ValidationError:
        authenticator.store.close()
        if row["key_id"] not in unreadable:
            unreadable.add(row["key_id"])
            log.error("the row of API key %s is none that this version can read; it is left out", row["key_id"])
