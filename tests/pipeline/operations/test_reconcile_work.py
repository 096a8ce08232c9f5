"""`feedback reconcile` reads so many rows as there are, and not so many times as there are ranges."""

import json
from typing import Any

import clickhouse_connect
import pytest
from aiokafka.structs import ConsumerRecord
from clickhouse_connect.driver.client import Client

from operations.reconcile import bucket_ranges, snapshot
from runtime.times import rfc3339
from schemas import ids
from schemas.murmur2 import murmur2
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS
from tests.pipeline.operations.test_reconcile_damage import compared
from tests.pipeline.stream_workers.stored_histories import store_records

HOUR_MS = 3_600_000
START_MS = 1_793_491_200_000
"""2026-11-01T00:00Z: all lies in one month, hence in one partition."""


def store(client: Client, first: int, end: int) -> None:
    """Traces with a feedback and a request each, a hundred in an hour, of a few workspaces."""
    feedback, requests = [], []
    for number in range(first, end):
        workspace, trace, at = f"w{number % 3}", f"t{number}", rfc3339(START_MS + number // 100 * HOUR_MS)
        common = {"workspace": workspace, "trace_id": trace, "metadata": {}}
        trace_hash = murmur2(ids.trace_key(workspace, trace))
        identity = str(ids.idempotent_id(trace_hash, workspace, str(number)))
        feedback.append({**common, "event": "create", "feedback_id": identity, "value": number % 21 - 10, "weight": 1,
                         "created_at": at})  # fmt: skip
        requests.append({**common, "event": "request", "request_id": identity, "started_at": at, "received_at": at})
    logs = {FEEDBACK_EVENTS: feedback, REQUEST_LOGS: requests}
    store_records(
        client, {topic: as_records(topic, events, first) for topic, events in logs.items()}, batch_records=500
    )


def as_records(topic: str, events: list[dict[str, Any]], first: int) -> list[ConsumerRecord]:
    values = [json.dumps(event).encode() for event in events]
    return [ConsumerRecord(topic, 0, n, 0, 0, b"", value, None, 0, 0, ()) for n, value in enumerate(values, first)]


def test_twice_the_rows_are_twice_the_work(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "ENTRIES_AT_ONCE", 600)
    monkeypatch.setattr(bucket_ranges, "ROWS_AT_ONCE", 300)

    def read(client: Client, first: int, end: int) -> int:
        store(client, first, end)
        before = selected(client)
        # No rollups have been computed: all of them differ, and are looked at twice.
        assert {each.what.split()[0] for each in compared(url)} == {"rollups"}
        return selected(client) - before

    with clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False) as client:
        few, twice, more = read(client, 0, 800), read(client, 800, 1600), read(client, 1600, 3200)
    assert 0 < more - twice < 2.5 * (twice - few)


def selected(client: Client) -> int:
    """How many rows ClickHouse has read from tables so far."""
    return int(client.command("SELECT value FROM system.events WHERE event = 'SelectedRows'"))
