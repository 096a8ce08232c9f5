"""The peer: the same job as Faust's documentation teaches it, a record at a time.

A table of requests by trace and a table of each trace's numbers, both partitioned as the topics are; an agent that
fills the first; an agent that joins each feedback with it, brings the numbers up to date, and forwards both; and agents
that take rows by the thousand and insert them. `python -m benchmarks.plain_faust worker`, settings as for a worker;
`PEER_REQUESTS` is how many requests it reads before it says so.
"""

import json
import os
from typing import Any

import clickhouse_connect
import faust

from benchmarks.peer_job import facts_of, feedback_row, joined, updated
from benchmarks.peer_tables import AGGREGATE_COLUMNS, AGGREGATES, CREATE, FEEDBACK, FEEDBACK_COLUMNS
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS

ROWS_AN_INSERT = 5000
REQUESTS = int(os.environ.get("PEER_REQUESTS", "0"))

app = faust.App(
    "plain-faust",
    broker=f"kafka://{os.environ['FEEDBACK_KAFKA_BOOTSTRAP']}",
    store="memory://",
    datadir=os.environ.get("PEER_STATE_DIR", "/tmp/plain-faust"),
    web_enabled=False,
    topic_disable_leader=True,
    consumer_auto_offset_reset="earliest",
    topic_partitions=8,
    broker_commit_interval=0.5,
    broker_session_timeout=6,  # the embedded broker lets a group wait for half of it
    broker_heartbeat_interval=2,
    broker_max_poll_records=1000,
    producer_linger=0.005,
    producer_max_batch_size=1 << 19,
)
requests = app.topic(REQUEST_LOGS, value_serializer="raw", key_serializer="raw")
feedback = app.topic(FEEDBACK_EVENTS, value_serializer="raw", key_serializer="raw")
enriched = app.topic("peer.enriched", value_serializer="raw", key_serializer="raw", partitions=8)
aggregates = app.topic("peer.aggregates", value_serializer="raw", key_serializer="raw", partitions=8)
feedback_rows, aggregate_rows = app.channel(), app.channel()
facts = app.Table("facts", default=dict, partitions=8)
numbers = app.Table("numbers", default=dict, partitions=8)
seen = 0


@app.agent(requests)  # type: ignore[untyped-decorator]
async def remember(stream: Any) -> None:
    global seen
    async for value in stream:
        event = json.loads(value)
        facts[event["trace_id"]] = facts_of(event)
        seen += 1
        if seen == REQUESTS:
            print("requests read", flush=True)


@app.agent(feedback)  # type: ignore[untyped-decorator]
async def join(stream: Any) -> None:
    async for value in stream:
        event = json.loads(value)
        trace_id = event["trace_id"]
        enriched_event = joined(event, facts[trace_id])
        total = updated(numbers[trace_id], event)
        numbers[trace_id] = total
        await enriched.send(key=event["feedback_id"].encode(), value=json.dumps(enriched_event).encode())
        await aggregates.send(key=trace_id.encode(), value=json.dumps(total).encode())
        await feedback_rows.send(value=enriched_event)
        await aggregate_rows.send(value=total)


@app.agent(feedback_rows)  # type: ignore[untyped-decorator]
async def insert_feedback(stream: Any) -> None:
    client = await clickhouse_connect.get_async_client(dsn=os.environ["FEEDBACK_CLICKHOUSE_URL"])
    for statement in CREATE:
        await client.command(statement)
    print("peer ready", flush=True)
    async for batch in stream.take(ROWS_AN_INSERT, within=0.5):
        columns = [list(column) for column in zip(*map(feedback_row, batch), strict=True)]
        await client.insert(FEEDBACK, columns, column_names=FEEDBACK_COLUMNS, column_oriented=True)


@app.agent(aggregate_rows)  # type: ignore[untyped-decorator]
async def insert_aggregates(stream: Any) -> None:
    client = await clickhouse_connect.get_async_client(dsn=os.environ["FEEDBACK_CLICKHOUSE_URL"])
    async for batch in stream.take(ROWS_AN_INSERT, within=0.5):
        latest = {total["trace_id"]: total for total in batch}
        columns = [[total[name] for total in latest.values()] for name in AGGREGATE_COLUMNS]
        await client.insert(AGGREGATES, columns, column_names=AGGREGATE_COLUMNS, column_oriented=True)


if __name__ == "__main__":
    app.main()
