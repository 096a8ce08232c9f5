"""A ClickHouse that holds invented feedback and requests, with their rollups, and the HTTP API over it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import clickhouse_connect
import httpx
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.client import Client
from fastapi import FastAPI

from query_api.app import add_queries
from query_api.clickhouse import Engines
from query_api.settings import QuerySettings
from runtime.api_key_store import ApiKeyStore
from stream_workers.rollup.rollups import Hour, compute
from tests.pipeline.engines import clickhouse_with_tables
from tests.pipeline.query_api.analytics_data import Row, Stored, insert, invented


class World:
    """One workspace to ask about, and another that must never show."""

    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        self.url, self.runner = url, runner
        self.api = api_over(url)
        self.engines = Engines(QuerySettings(clickhouse_url=url))
        self.reader = self.engines.reader(60)
        self.client: Client = clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False)
        self.asynchronous: AsyncClient = runner.run(
            clickhouse_connect.get_async_client(dsn=url, autogenerate_session_id=False)
        )
        self.stored = invented("default", 1)
        for each in (self.stored, invented("other", 2, 10)):
            self.store(each)

    def store(self, stored: Stored) -> None:
        """Store it, and compute its rollups."""
        insert(self.client, stored)
        hours = [Hour(stored.workspace, int(row["created_at"].timestamp()) // 3600 * 3600) for row in stored.feedback]
        self.runner.run(compute(self.asynchronous, hours))

    def ask(self, path: str, api: httpx.AsyncClient | None = None, **parameters: Any) -> httpx.Response:
        """The answer, whatever it is."""
        return self.runner.run((api or self.api).get(f"/v1/analytics/{path}", params=parameters))

    def ask_at(self, path: str, **parameters: Any) -> httpx.Response:
        """The answer at any path, whatever it is."""
        return self.runner.run(self.api.get(path, params=parameters))

    def listed(self, path: str, **parameters: Any) -> list[Row]:
        """All items of a list, by its pages, each full but the last."""
        items: list[Row] = []
        cursor: dict[str, str] = {}
        while True:
            reply = self.ask_at(path, **parameters, **cursor)
            assert reply.status_code == 200, reply.text
            page = reply.json()
            items += page["data"]
            if page["next_cursor"] is None:
                return items
            assert len(page["data"]) == int(parameters["page_size"])
            cursor = {"cursor": page["next_cursor"]}

    def get(self, path: str, **parameters: Any) -> Any:
        """The body of an answer that is no refusal."""
        reply = self.ask(path, **parameters)
        assert reply.status_code == 200, reply.text
        return reply.json()


def api_over(url: str) -> httpx.AsyncClient:
    """A client of the queries over a ClickHouse."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(queries_over(url)), base_url="http://api")


def queries_over(url: str) -> FastAPI:
    """The queries over a ClickHouse."""
    app = FastAPI()
    add_queries(app, QuerySettings(clickhouse_url=url), ApiKeyStore())
    app.state.authenticator.mark_fresh(2**62)  # no lifespan runs here that would read the keys, of which there are none
    return app


@contextmanager
def world_in(folder: Path) -> Iterator[World]:
    """A new one."""
    with clickhouse_with_tables(folder / "clickhouse") as url, asyncio.Runner() as runner:
        world = World(url, runner)
        yield world
        runner.run(world.engines.close())
        runner.run(world.asynchronous.close())
