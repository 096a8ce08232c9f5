"""A program that dies because a disk is full is started until there is room; one that dies by itself is given up."""

import asyncio
from functools import partial
from pathlib import Path

from deploy.up.supervisor import Program
from runtime.restart_backoff import Restarts


async def test_deaths_on_a_full_disk_do_not_count(tmp_path: Path) -> None:
    deaths = 0
    given_up: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    def say(_: str) -> None:
        nonlocal deaths
        deaths += 1

    async def command() -> tuple[list[str], dict[str, str]]:
        return ["false"], {}

    dying = Program(
        "dying",
        command,
        None,
        tmp_path / "dying.log",
        given_up.set_result,
        say,
        restarts=partial(Restarts, most=3, longest=0.0),
        note=lambda: " Note: it is full." if deaths < 5 else "",
    )
    dying.start()
    assert "dying died 3 times within a minute" in str(await asyncio.wait_for(given_up, 30))
    assert deaths == 7
    await dying.kill()
