"""Writes the rows of a consumer batch to ClickHouse, the journal before the other tables.

The journal is written first, so that no row shows an event that the journal does not hold. After a crash, the record of
a request that is in the journal is read again, and then the feedback that the request changed is written again.

Inserts are synchronous (`async_insert=0`): when `store` returns, the rows are stored. They have no deduplication token
and need none. The sort key and the version of every row follow from the events, so a row that is stored twice replaces
itself. A token that is used again for rows that a later state has changed would drop those rows silently.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.asyncclient import AsyncClient

# No two rows of a batch have the same sort key, so nothing can be merged before it is written.
_SETTINGS = {
    "async_insert": 0,
    "max_partitions_per_insert_block": 0,
    "insert_deduplicate": 0,
    "optimize_on_insert": 0,
}


async def store(client: AsyncClient, tables: Mapping[str, pa.Table]) -> None:
    """Insert each table's rows. Raises what the client raises; some tables may then be stored and others not."""
    rest = dict(tables)
    if (journal := rest.pop("journal", None)) is not None:
        await _insert(client, "journal", journal)
    await asyncio.gather(*(_insert(client, name, rows) for name, rows in rest.items()))


async def _insert(client: AsyncClient, name: str, rows: pa.Table) -> None:
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, rows.schema) as writer:
        writer.write_table(rows)
    # As a view it is copied once on its way to the socket, not three times.
    body: Any = memoryview(stream.getvalue())
    await client.raw_insert(f"feedback.{name}", rows.column_names, body, _SETTINGS, "ArrowStream")
