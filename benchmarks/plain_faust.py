"""The peer: the same job as Faust's documentation teaches it, a record at a time.

A table of requests by trace id, an agent that joins each feedback with it and forwards the result, and a second agent
that takes rows in thousands and inserts them. `python -m benchmarks.plain_faust`, settings as for a worker.
"""

import json
import os
from typing import Any

import clickhouse_connect
import faust

from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS

app = faust.App(
    "plain-faust",
    broker=f"kafka://{os.environ['FEEDBACK_KAFKA_BOOTSTRAP']}",
    store="memory://",
    datadir="/tmp/plain-faust",
    web_enabled=False,
    topic_disable_leader=True,
    consumer_auto_offset_reset="earliest",
    topic_partitions=8,
    producer_linger=0.005,
    producer_max_batch_size=1 << 19,
)
requests = app.topic(REQUEST_LOGS, value_serializer="raw", key_serializer="raw")
feedback = app.topic(FEEDBACK_EVENTS, value_serializer="raw", key_serializer="raw")
enriched = app.topic("peer.enriched", value_serializer="raw", key_serializer="raw", partitions=8)
facts = app.Table("facts", default=dict, partitions=8)
COLUMNS = ["feedback_id", "trace_id", "value", "weight", "join_state", "model", "user"]


@app.agent(requests)  # type: ignore[untyped-decorator]
async def remember(stream: Any) -> None:
    async for value in stream:
        event = json.loads(value)
        facts[event["trace_id"]] = {"model": event["model"], "user": event["_user"]}


@app.agent(feedback)  # type: ignore[untyped-decorator]
async def join(stream: Any) -> None:
    async for value in stream:
        event = json.loads(value)
        known = facts[event["trace_id"]]
        joined = {**event, **known, "join_state": "joined" if known else "pending"}
        await enriched.send(key=event["feedback_id"].encode(), value=json.dumps(joined).encode())
        await insert.send(value=joined)


@app.agent(app.channel())  # type: ignore[untyped-decorator]
async def insert(stream: Any) -> None:
    client = await clickhouse_connect.get_async_client(dsn=os.environ["FEEDBACK_CLICKHOUSE_URL"])
    await client.command(
        "CREATE TABLE IF NOT EXISTS peer_feedback (feedback_id UUID, trace_id String, value Int8, weight Float64,"
        " join_state String, model String, user String) ENGINE = ReplacingMergeTree ORDER BY feedback_id"
    )
    print("peer ready", flush=True)
    async for batch in stream.take(1000, within=0.5):
        rows = [[row.get(column, "") for column in COLUMNS] for row in batch]
        await client.insert("peer_feedback", rows, column_names=COLUMNS)


if __name__ == "__main__":
    app.main()
