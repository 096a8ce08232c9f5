"""Metrics of ClickHouse's disks and parts, which the rollup program reads every few seconds.

There may be many APIs and workers, and all would ask the same; there are only a few rollup programs.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import NamedTuple

from clickhouse_connect.driver.asyncclient import AsyncClient

from runtime import rollup_metrics as metrics
from runtime.fast_metrics import Labels
from runtime.log_setup import safe_error_text

_READ_EVERY_S = 15.0
_DISKS = "SELECT name, free_space, total_space FROM system.disks"
_PARTS = """
SELECT table, max(parts) FROM (
    SELECT table, partition_id, count() AS parts FROM system.parts
    WHERE active AND database = 'feedback' GROUP BY table, partition_id
) GROUP BY table
"""
log = logging.getLogger(__name__)


class Storage(NamedTuple):
    """Bytes by disk, and by table the number of parts of its partition that has most."""

    free: Mapping[Labels, float]
    total: Mapping[Labels, float]
    parts: Mapping[Labels, float]


async def read_storage(client: AsyncClient) -> Storage:
    """Ask ClickHouse. Raises what the client raises."""
    disks = (await client.query(_DISKS)).result_rows
    parts = (await client.query(_PARTS)).result_rows
    return Storage(
        {(name,): float(free) for name, free, _ in disks},
        {(name,): float(total) for name, _, total in disks},
        {(table,): float(count) for table, count in parts},
    )


async def watch_storage(client: AsyncClient, every_s: float = _READ_EVERY_S) -> None:
    """Keep the metrics up to date. While ClickHouse does not answer they are empty, because an old number is wrong."""
    seen = Storage({}, {}, {})
    metrics.DISK_FREE.set_callback(lambda: seen.free)
    metrics.DISK_TOTAL.set_callback(lambda: seen.total)
    metrics.PARTS.set_callback(lambda: seen.parts)
    while True:
        try:
            seen = await read_storage(client)
        except Exception as error:
            log.warning("ClickHouse's disks and parts cannot be read: %s", safe_error_text(error))
            seen = Storage({}, {}, {})
        await asyncio.sleep(every_s)
