"""A program that dies because a disk is full is started until there is room; one that dies by itself is given up."""

import asyncio
import os
from functools import partial
from pathlib import Path

import pytest

from deploy.up import supervisor
from deploy.up.supervisor import Program
from runtime.restart_backoff import Restarts


@pytest.mark.parametrize("fault", ["a file where its folder was", "a folder where it was", "a full disk"])
async def test_a_program_runs_without_a_log_that_cannot_be_written(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after somebody has cleared the folder of logs: before, the next start of one program stopped all of them."""
    log = tmp_path / "logs" / "one.log"
    if fault == "a file where its folder was":
        log.parent.write_text("")
    elif fault == "a folder where it was":
        log.mkdir(parents=True)
    else:
        monkeypatch.setattr(supervisor, "free_bytes", lambda _: 1000)
    given_up: list[Exception] = []
    said: list[str] = []

    async def command() -> tuple[list[str], dict[str, str]]:
        return ["sleep", "60"], {"PATH": os.environ["PATH"]}

    one = Program("one", command, None, log, given_up.append, said.append)
    one.start()
    try:
        async with asyncio.timeout(30):
            await one.is_ready.wait()
        assert given_up == []
        assert [each.partition(" cannot be written")[0] for each in said] == [f"one is started without a log: {log}"]
    finally:
        await one.kill()


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
