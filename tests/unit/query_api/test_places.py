"""No workspace keeps another waiting for its own statements in ClickHouse."""

import asyncio
from typing import Any

import pytest

from query_api.clickhouse import Engines
from query_api.settings import QuerySettings


class Slow:
    """A ClickHouse whose statements run until they are let go."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self.let_go, self.asked_by_the_modest = asyncio.Event(), asyncio.Event()

    async def query(self, _: str, parameters: dict[str, Any], **__: Any) -> "Slow":
        self.running.append(parameters["workspace"])
        if parameters["workspace"] == "modest":
            self.asked_by_the_modest.set()
        await self.let_go.wait()
        return self

    def named_results(self) -> list[dict[str, Any]]:
        return []


async def test_a_workspace_that_asks_very_much_takes_no_place_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred graphs of one took all threads of the embedded ClickHouse, and everybody else was answered 503."""
    engines, slow = Engines(QuerySettings()), Slow()

    async def clickhouse() -> Slow:
        return slow

    monkeypatch.setattr(engines, "clickhouse", clickhouse)
    reader = engines.reader(30)

    async def ask(workspace: str) -> None:
        await reader.rows("SELECT 1", {"workspace": workspace})

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        for _ in range(200):
            tasks.create_task(ask("greedy"))
        await asyncio.sleep(0)
        tasks.create_task(ask("modest"))
        await slow.asked_by_the_modest.wait()
        assert slow.running == ["greedy"] * 4 + ["modest"]
        slow.let_go.set()
    assert slow.running.count("greedy") == 200
