"""Writing a poll's rows to ClickHouse, the journal before all else.

The journal goes first so that no row can show what the journal does not know: after a crash, a request that is in
the journal has the feedback it touched written again when its record is read again.

Inserts are synchronous (`async_insert=0`): when `store` returns, the rows are there. They carry no deduplication
token and need none, since every row's place and version are functions of the events: a row stored twice replaces
itself, while a token reused for rows that a later state has changed would drop them in silence.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.asyncclient import AsyncClient

# A poll has no two rows of one place, so nothing can be merged before it is written.
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
