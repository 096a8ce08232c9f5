"""No question outlives its time, in ClickHouse neither: what nobody waits for any more is given up there."""

import asyncio
from collections.abc import Iterator
from typing import Any, NamedTuple

import clickhouse_connect
import httpx
import pytest
from clickhouse_connect.driver.client import Client
from fastapi import FastAPI

from query_api.app import add_queries
from query_api.settings import QuerySettings
from runtime.api_key_store import ApiKeyStore
from tests.pipeline.engines import clickhouse_with_tables, until

TIMES = {"time_of_generation_min": "2025-10-20T00:30:00Z", "time_of_generation_max": "2025-11-10T00:30:00Z"}
ROLLED_UP = {"time_of_generation_min": "2025-10-20", "time_of_generation_max": "2025-11-10"}
VIEWS = ("feedback", "request_logs", "rollups", "trace_aggregates", "policy")
TABLES = ("request_log_rows", "journal")
"""Which lists and look-ups of requests read without a view, with PREWHERE, which views do not have."""
RUNNING = "SELECT count() FROM system.processes WHERE query LIKE '%feedback.%' AND query NOT LIKE '%system.processes%'"


class Slow(NamedTuple):
    """An API whose questions may take a second, over views that take an hour."""

    runner: asyncio.Runner
    api: httpx.AsyncClient
    client: Client


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slow]:
    with clickhouse_with_tables(tmp_path_factory.mktemp("slow") / "clickhouse") as url, asyncio.Runner() as runner:
        client = clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False)
        for view in VIEWS:
            client.command(hour_long(client, view))
        for table in TABLES:
            in_its_place = seconds_long(client, table)
            client.command(f"RENAME TABLE feedback.{table} TO feedback.{table}_before")
            client.command(in_its_place)
            client.command(f"INSERT INTO feedback.{table} (place) SELECT number FROM numbers(25)")
        app = FastAPI()
        limits = {f"{what}_timeout_s": 1 for what in ("receipt", "analytics", "query")}
        add_queries(app, QuerySettings(clickhouse_url=url, **limits), ApiKeyStore())
        app.state.authenticator.mark_fresh(2**62)
        api = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api", timeout=60)
        yield Slow(runner, api, client)
        client.close()


def hour_long(client: Client, view: str) -> str:
    """The statement that has a view add up for an hour what every column of its one row depends on."""
    columns = ", ".join(
        f"[defaultValueOfTypeName('{kind.replace(chr(39), chr(92) + chr(39))}')][slept + 1] AS {name}"
        for name, kind, *_ in client.query(f"DESCRIBE feedback.{view}").result_rows
    )
    hour = "SELECT sum(sleepEachRow(0.1)) AS slept FROM numbers(36000) SETTINGS max_block_size = 1"
    return f"CREATE OR REPLACE VIEW feedback.{view} AS SELECT {columns} FROM ({hour})"


def seconds_long(client: Client, table: str) -> str:
    """The statement that makes a table each of whose columns takes a tenth of a second a row to tell."""
    columns = [(name, kind) for name, kind, *_ in client.query(f"DESCRIBE feedback.{table}").result_rows]
    told = ", ".join(
        f"{name} {kind} ALIAS [defaultValueOfTypeName('{kind.replace(chr(39), chr(92) + chr(39))}')]"
        "[sleepEachRow(0.1) + 1]"
        for name, kind in columns
    )
    return f"CREATE TABLE feedback.{table} (place UInt8, {told}) ENGINE = ReplacingMergeTree ORDER BY place"


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/analytics/graphs/feedbacks", TIMES | {"read_from": "rows"}),
        ("/v1/analytics/graphs/feedbacks/ai-models", ROLLED_UP),
        ("/v1/analytics/groups/metadata/topic", TIMES),
        ("/v1/analytics/graphs/latency", TIMES),
        ("/v1/analytics/groups/feedback-metadata/topic", TIMES),
        ("/v1/analytics/groups/feedback", TIMES | {"by": "metadata.topic"}),
        ("/v1/analytics/comparison", TIMES | {"baseline_prompt_slug": "p"}),
        ("/v1/feedback", {"join_state": "pending"}),
        ("/v1/logs", {}),
        ("/v1/logs", TIMES | {"order_by": "cost"}),
        ("/v1/logs/01970000-0000-8000-8000-9b11edf90000", {}),
        ("/v1/traces/t", {}),
    ],
)
def test_a_question_whose_time_is_over_is_given_up_by_clickhouse_too(slow: Slow, path: str, query: Any) -> None:
    reply = slow.runner.run(slow.api.get(path, params=query))
    assert reply.status_code == 503, reply.text
    assert reply.json()["message"].startswith("ClickHouse does not answer in time")
    until(lambda: slow.client.command(RUNNING) == 0, "ClickHouse runs none of it", seconds=10)
