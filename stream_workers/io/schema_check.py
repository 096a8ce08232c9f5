"""Checks that the tables are those of this version, once, at the start of a program that writes them."""

import asyncio
import logging

from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import DatabaseError

from runtime.schema_version import APPLIED, NO_TABLES_CODES, OlderTablesError, TablesError, require_tables
from stream_workers.health import HEALTH
from stream_workers.io.retry import Backoff, until_done

log = logging.getLogger(__name__)

_OLDER_S = 30.0
_AGAIN_S = 1.0


async def require_own_tables(client: AsyncClient) -> None:
    """Return when the tables are those of this version; TablesError, which is logged, if they are not.

    Older tables are given half a minute, because a migration may be running.
    """
    loop = asyncio.get_running_loop()
    began, is_logged = loop.time(), False
    while True:
        applied = await until_done("reading the migrations in force", lambda: _applied(client), Backoff(), lambda: None)
        try:
            return require_tables(applied)
        except TablesError as fault:
            if not isinstance(fault, OlderTablesError) or loop.time() - began > _OLDER_S:
                log.critical("the program cannot go on: %s", str(fault))
                raise
            if not is_logged:
                log.error("the program waits for %.0f s: %s", _OLDER_S, str(fault))
            is_logged = True
            HEALTH.set_blocked("clickhouse", str(fault))
            await asyncio.sleep(_AGAIN_S)


async def _applied(client: AsyncClient) -> list[int]:
    try:
        return [row[0] for row in (await client.query(APPLIED)).result_rows]
    except DatabaseError as error:
        if error.code in NO_TABLES_CODES:
            return []
        raise
