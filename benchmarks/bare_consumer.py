"""The limit: read the same records and insert ready-made rows, with nothing decided in between.

Takes the rows that a worker has stored for one poll, as Arrow, and inserts them once per 10,000 records that a bare
aiokafka consumer returns. `python -m benchmarks.bare_consumer RECORDS`, settings as for a worker; prints the rate.
"""

import asyncio
import io
import os
import sys
import time

import clickhouse_connect
import pyarrow as pa
from aiokafka import AIOKafkaConsumer

from schemas.topics import FEEDBACK_EVENTS
from stream_workers.sink import store

TABLES = {"trace_journal": "kind = 'feedback'", "feedback_rows": "1", "trace_aggregate_rows": "1"}
POLL = 10_000


async def main(records: int) -> None:
    client = await clickhouse_connect.get_async_client(dsn=os.environ["FEEDBACK_CLICKHOUSE_URL"])
    ready_made = {}
    for name, condition in TABLES.items():
        query = f"SELECT * FROM feedback.{name} WHERE {condition} LIMIT {POLL}"
        body = await client.raw_query(query, fmt="ArrowStream", settings={"output_format_arrow_string_as_string": 0})
        ready_made[name] = pa.ipc.open_stream(io.BytesIO(body)).read_all()
    consumer = AIOKafkaConsumer(
        FEEDBACK_EVENTS,
        bootstrap_servers=os.environ["FEEDBACK_KAFKA_BOOTSTRAP"],
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=8 << 20,
    )
    await consumer.start()
    seen, unstored, started = 0, 0, time.perf_counter()
    while seen < records:
        batches = await consumer.getmany(timeout_ms=1000, max_records=POLL)
        read = sum(map(len, batches.values()))
        seen, unstored = seen + read, unstored + read
        while unstored >= POLL:
            await store(client, ready_made)
            unstored -= POLL
    print(f"rate {seen / (time.perf_counter() - started):.0f}", flush=True)
    await consumer.stop()
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
