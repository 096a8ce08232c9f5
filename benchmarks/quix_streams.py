"""The peer: the same job in Quix Streams, as its documentation teaches it: `.venv/quix/bin/python -m …`.

Requests and feedback are one concatenated stream, so that both see one state per trace key: what the request said, and
the trace's numbers. Each feedback is joined with that state and brings it up to date; the enriched feedback and the
numbers go to their topics, and to ClickHouse through a batching sink at each checkpoint. Its packages want other
versions than ours, so it has an environment of its own. Settings as for a worker; `PEER_REQUESTS` is how many requests
it reads before it says so.
"""

import os
from pathlib import Path
from typing import Any

import clickhouse_connect
from quixstreams import Application, State
from quixstreams.sinks.base import BatchingSink, SinkBatch

from benchmarks.peer_job import facts_of, feedback_row, joined, updated
from benchmarks.peer_tables import AGGREGATE_COLUMNS, AGGREGATES, CREATE, FEEDBACK, FEEDBACK_COLUMNS
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS

REQUESTS = int(os.environ.get("PEER_REQUESTS", "0"))
seen = 0


class ClickHouseSink(BatchingSink):  # type: ignore[misc]
    """Inserts what has come since the last checkpoint, a table at a time."""

    def setup(self) -> None:
        self._client = clickhouse_connect.get_client(dsn=os.environ["FEEDBACK_CLICKHOUSE_URL"])
        for statement in CREATE:
            self._client.command(statement)

    def write(self, batch: SinkBatch) -> None:
        feedback = [item.value["feedback"] for item in batch]
        latest = {item.value["numbers"]["trace_id"]: item.value["numbers"] for item in batch}
        self._insert(FEEDBACK, FEEDBACK_COLUMNS, list(map(feedback_row, feedback)))
        self._insert(AGGREGATES, AGGREGATE_COLUMNS, [[n[name] for name in AGGREGATE_COLUMNS] for n in latest.values()])

    def _insert(self, table: str, names: tuple[str, ...], rows: list[Any]) -> None:
        columns = [list(column) for column in zip(*rows, strict=True)]
        self._client.insert(table, columns, column_names=names, column_oriented=True)


def join(event: dict[str, Any], state: State) -> dict[str, Any] | None:
    """Remember a request; join a feedback with what is remembered."""
    global seen
    if event["event"] == "request":
        state.set("facts", facts_of(event))
        seen += 1
        if seen == REQUESTS:
            print("requests read", flush=True)
        return None
    numbers = updated(state.get("numbers"), event)
    state.set("numbers", numbers)
    return {"feedback": joined(event, state.get("facts", {})), "numbers": numbers}


def main() -> None:
    app = Application(
        broker_address=os.environ["FEEDBACK_KAFKA_BOOTSTRAP"],
        consumer_group="quix-streams",
        auto_offset_reset="earliest",
        commit_every=int(os.environ.get("PEER_COMMIT_EVERY", "10000")),
        state_dir=Path(os.environ["PEER_STATE_DIR"]),
        consumer_extra_config={"session.timeout.ms": 6000},  # the embedded broker lets a group wait for half of it
        producer_extra_config={"linger.ms": 5, "batch.size": 1 << 19},
        loglevel="WARNING",
    )
    requests = app.topic(REQUEST_LOGS, key_deserializer="str", value_deserializer="json")
    feedback = app.topic(FEEDBACK_EVENTS, key_deserializer="str", value_deserializer="json")
    enriched = app.topic("peer.enriched", key_serializer="str", value_serializer="json")
    aggregates = app.topic("peer.aggregates", key_serializer="str", value_serializer="json")
    stream = app.dataframe(requests).concat(app.dataframe(feedback)).apply(join, stateful=True)
    stream = stream.filter(lambda value: value is not None)
    stream.apply(lambda value: value["feedback"]).to_topic(enriched, key=lambda value: value["feedback_id"])
    stream.apply(lambda value: value["numbers"]).to_topic(aggregates, key=lambda value: value["trace_id"])
    stream.sink(ClickHouseSink())
    app.run()


if __name__ == "__main__":
    main()
