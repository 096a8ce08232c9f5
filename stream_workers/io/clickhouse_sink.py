"""Writes the rows of a consumer batch to ClickHouse, table by table: the next is written when the last is stored.

1. The rows of requests, because nothing else has their bodies.
2. The journal: no other row shows an event that it does not hold.
3. Feedback and dead letters.
4. The aggregates: a trace whose aggregate is as far as the journal is stored whole.

After a crash the records are read again, and everything is written again. Where the broker has lost them,
`operations/unfinished_batches.py` finds by this order what is missing, and has workers write it.

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


_FIRST, _SECOND, _LAST = "request_log_rows", "journal", "trace_aggregate_rows"


async def store(client: AsyncClient, tables: Mapping[str, pa.Table]) -> None:
    """Insert each table's rows. Raises what the client raises; some tables may then be stored and others not."""
    for names in ({_FIRST}, {_SECOND}, tables.keys() - {_FIRST, _SECOND, _LAST}, {_LAST}):
        await asyncio.gather(*(_insert(client, name, tables[name]) for name in names & tables.keys()))


async def _insert(client: AsyncClient, name: str, rows: pa.Table) -> None:
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, rows.schema) as writer:
        writer.write_table(rows)
    # As a view it is copied once on its way to the socket, not three times.
    body: Any = memoryview(stream.getvalue())
    await client.raw_insert(f"feedback.{name}", rows.column_names, body, _SETTINGS, "ArrowStream")
