"""The limit: read the same records and insert ready-made rows, with nothing decided in between.

Takes the rows that a worker has stored for one batch, as Arrow, and inserts those same bytes once per batch of
records that a bare aiokafka consumer returns. `python -m benchmarks.bare_consumer RECORDS BATCH`, settings as for a
worker; prints the records a second after the first tenth.
"""

import asyncio
import os
import sys
import time
from typing import Any

import clickhouse_connect
from aiokafka import AIOKafkaConsumer

from schemas.topics import FEEDBACK_EVENTS

TABLES = {"journal": "kind = 'feedback'", "feedback_rows": "1", "trace_aggregate_rows": "1"}
SETTINGS = {"async_insert": 0, "max_partitions_per_insert_block": 0, "insert_deduplicate": 0}


async def main(records: int, batch_records: int) -> None:
    client = await clickhouse_connect.get_async_client(dsn=os.environ["FEEDBACK_CLICKHOUSE_URL"])
    ready_made = {}
    for name, condition in TABLES.items():
        query = f"SELECT * FROM feedback.{name} WHERE {condition} LIMIT {batch_records}"
        ready_made[name] = await client.raw_query(
            query, fmt="ArrowStream", settings={"output_format_arrow_string_as_string": 0}
        )
    consumer = AIOKafkaConsumer(
        FEEDBACK_EVENTS,
        bootstrap_servers=os.environ["FEEDBACK_KAFKA_BOOTSTRAP"],
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=8 << 20,
    )
    await consumer.start()
    seen, unstored, started, warm = 0, 0, 0.0, 0
    while seen < records:
        batches = await consumer.getmany(timeout_ms=1000, max_records=batch_records)
        read = sum(map(len, batches.values()))
        seen, unstored = seen + read, unstored + read
        while unstored >= batch_records:
            await insert(client, ready_made)
            unstored -= batch_records
        if not warm and seen >= records / 10:
            warm, started = seen, time.perf_counter()
    print(f"rate {(seen - warm) / (time.perf_counter() - started):.0f}", flush=True)
    await consumer.stop()
    await client.close()


async def insert(client: Any, ready_made: dict[str, bytes]) -> None:
    """The journal, then the other tables at once, as a worker must."""
    rest = dict(ready_made)
    await _insert(client, "journal", rest.pop("journal"))
    await asyncio.gather(*(_insert(client, name, rows) for name, rows in rest.items()))


async def _insert(client: Any, name: str, rows: bytes) -> None:
    await client.raw_insert(f"feedback.{name}", None, rows, SETTINGS, "ArrowStream")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
