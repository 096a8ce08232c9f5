"""Exports cannot fill the disk or keep others waiting, and their files are for nobody else to read."""

import asyncio
import os
import random
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from query_api.exports.attempt import Attempt
from query_api.exports.files import Part, disk, path_of, remove, sweep
from query_api.exports.limits import Limits
from query_api.exports.orders import Order
from query_api.exports.quota import (
    MAX_ORDER_BYTES,
    Disk,
    NoRoomError,
    Recent,
    check_disk,
    check_orders,
    check_start,
    usage,
)
from query_api.exports.room import Room
from query_api.exports.state import Fact, Held, export, held
from query_api.exports.turns import Turns
from query_api.settings import QuerySettings
from runtime.http_errors import ApiError

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEEP, LEASE = timedelta(hours=72), timedelta(seconds=30)
LIMITS = Limits(running=2, files=3, workspace_bytes=100, orders=5, all_bytes=1000, free_bytes=50)


def hours_ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def file(size: int, hours: float = 1) -> Held:
    return Held("success", size, hours_ago(hours))


def running(size: int = 0) -> Held:
    return Held("in_progress", size, None)


def refused(decide: Callable[[], object]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        decide()
    return caught.value


def test_only_what_runs_or_has_a_file_takes_something() -> None:
    exports = {
        "a": file(30, 71), "b": file(40, 72), "c": Held("failed", 50, None), "d": Held("stopped", 60, None),
        "e": running(7), "f": file(2),
    }  # fmt: skip
    used = usage(exports, NOW, KEEP)
    assert (used.running, dict(used.sizes), used.frees_at) == (1, {"a": 30, "e": 7, "f": 2}, hours_ago(-1))


@pytest.mark.parametrize(
    ("exports", "status", "named", "wait"),
    [
        ([running(), file(99)], None, "", None),
        ([running(), running()], 429, "FEEDBACK_EXPORT_MAX_RUNNING", "5"),
        ([running(), file(1, 70), file(1)], 429, "FEEDBACK_EXPORT_MAX_FILES", "7200"),
        ([running(60), file(40)], 507, "FEEDBACK_EXPORT_MAX_WORKSPACE_BYTES", None),
    ],
)
def test_a_workspace_starts_no_more_than_it_may(
    exports: list[Held], status: int | None, named: str, wait: str | None
) -> None:
    used = usage({str(number): one for number, one in enumerate(exports)}, NOW, KEEP)
    if status is None:
        check_start(LIMITS, used, NOW)
        return
    error = refused(lambda: check_start(LIMITS, used, NOW))
    assert (error.status, dict(error.headers).get(b"retry-after")) == (status, wait and wait.encode())
    assert named in error.message


def test_a_workspace_orders_no_more_than_it_may_and_is_told_when_it_may_again() -> None:
    check_orders(LIMITS, Recent(4, MAX_ORDER_BYTES - 1, hours_ago(1)), KEEP, NOW)
    many = refused(lambda: check_orders(LIMITS, Recent(5, 0, hours_ago(71.5)), KEEP, NOW))
    assert (many.status, many.headers) == (429, [(b"retry-after", b"1800")])
    assert "FEEDBACK_EXPORT_MAX_ORDERS" in many.message
    large = refused(lambda: check_orders(LIMITS, Recent(1, MAX_ORDER_BYTES, hours_ago(71.5)), KEEP, NOW))
    assert (large.status, large.headers) == (429, [(b"retry-after", b"1800")])


@pytest.mark.parametrize(
    ("found", "named"),
    [
        (Disk(999, 50), ""),
        (Disk(0, 49), "FEEDBACK_EXPORT_MIN_FREE_BYTES"),
        (Disk(0, -1), " has 0 bytes free, and 50 must stay so (FEEDBACK_EXPORT_MIN_FREE_BYTES)"),
        (Disk(1000, 10**9), "FEEDBACK_EXPORT_MAX_BYTES"),
    ],
)
def test_nobody_starts_where_the_disk_is_short(found: Disk, named: str) -> None:
    if not named:
        check_disk(LIMITS, found)
        return
    error = refused(lambda: check_disk(LIMITS, found))
    assert (error.status, named in error.message) == (507, True)


class Writing(Attempt):
    """An attempt that has written so much, without a store to tell it to."""

    def __init__(self, workspace: str, export_id: str, size: int) -> None:
        super().__init__(None, KEEP, workspace, export_id, Order.at(NOW), 1)  # type: ignore[arg-type]
        self.size = size

    @property
    def progress(self) -> Any:
        return type("Progress", (), {"bytes_written": self.size})


async def test_what_a_workspace_writes_at_once_counts_together_and_what_others_do_does_not(tmp_path: Path) -> None:
    room = Room(tmp_path, replace(LIMITS, all_bytes=10**9, free_bytes=0))
    one, two, other = Writing("w", "1", 0), Writing("w", "2", 30), Writing("v", "3", 90)
    one.reported_sizes = {"2": 5, "4": 40}
    for each in (one, two, other):
        room.enter(each)
    await room.take(one, 30)
    one.size = 30
    with pytest.raises(NoRoomError, match="take 101 bytes, and may 100"):
        await room.take(one, 1)
    room.leave(two)
    await room.take(one, 1)


async def test_all_files_and_the_disk_are_measured_anew_as_they_grow(tmp_path: Path) -> None:
    one = Writing("w", "1", 0)
    full = path_of(tmp_path, "0" * 36, "1" * 32, "csv")
    full.write_bytes(b"x" * 900)
    room = Room(tmp_path, replace(LIMITS, workspace_bytes=10**12, free_bytes=0))
    room.enter(one)
    await room.take(one, 50)
    await room.take(one, 40)
    with pytest.raises(NoRoomError, match="FEEDBACK_EXPORT_MAX_BYTES"):
        await room.take(one, 20)
    full.unlink()
    room.enter(one)
    await room.take(one, 20)
    free = disk(tmp_path).free
    near = Room(tmp_path, replace(LIMITS, workspace_bytes=10**15, all_bytes=10**15, free_bytes=free // 2))
    near.enter(one)
    with pytest.raises(NoRoomError, match="FEEDBACK_EXPORT_MIN_FREE_BYTES"):
        await near.take(one, free)


@pytest.mark.parametrize(
    ("places", "expected"),
    [(1, ["a1", "a2", "b1", "a3", "b2", "a4"]), (2, ["a1", "a2", "b1", "a3", "b2", "a4"])],
)
async def test_places_go_to_workspaces_in_turn_however_many_exports_one_has(places: int, expected: list[str]) -> None:
    turns, order = Turns(places), list[str]()
    ends: dict[str, asyncio.Event] = {}

    async def run(name: str) -> None:
        async with turns.place(name[0]):
            order.append(name)
            await ends.setdefault(name, asyncio.Event()).wait()

    async def until_they_wait() -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    tasks = {name: asyncio.create_task(run(name)) for name in ["a1", "a2", "a3", "a4", "c1", "b1", "b2"]}
    await until_they_wait()
    assert order == expected[:places]
    tasks["c1"].cancel()
    for number in range(6):
        ends[order[number]].set()
        await until_they_wait()
    assert order == expected
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.parametrize("seed", range(20))
async def test_no_place_is_lost_or_given_twice_whoever_is_cancelled(seed: int) -> None:
    chance, places = random.Random(seed), 3
    turns, holding = Turns(places), 0

    async def run(workspace: str) -> None:
        nonlocal holding
        async with turns.place(workspace):
            holding += 1
            assert holding <= places
            try:
                for _ in range(chance.randint(0, 4)):
                    await asyncio.sleep(0)
            finally:
                holding -= 1

    tasks = []
    for _ in range(60):
        tasks.append(asyncio.create_task(run(chance.choice("abcd"))))
        if chance.random() < 0.5:
            chance.choice(tasks).cancel()
        if chance.random() < 0.3:
            await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await asyncio.gather(*tasks, return_exceptions=True)
        async with turns.place("z"), turns.place("z"), turns.place("z"):
            assert holding == 0


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_and_its_folder_are_private_from_the_first_byte_on(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = path_of(tmp_path / "exports", "0" * 36, "1" * 32, "jsonl")
        with Part(path, "jsonl") as part:
            assert [mode_of(each) for each in path.parent.iterdir()] == [0o600]
            part.write(b"{}\n")
            part.finish()
    finally:
        os.umask(before)
    assert (mode_of(path), mode_of(path.parent)) == (0o600, 0o700)


def test_files_of_an_earlier_version_are_closed_and_others_left_alone(tmp_path: Path) -> None:
    ours, others = path_of(tmp_path, "0" * 36, "1" * 32, "csv"), tmp_path / "notes.csv"
    for path in (ours, others):
        path.write_bytes(b"")
        path.chmod(0o644)
    assert sweep(tmp_path, 3600) == 0
    assert (mode_of(ours), mode_of(others)) == (0o600, 0o644)


def test_a_part_on_a_full_disk_is_removed_though_it_cannot_be_closed(tmp_path: Path) -> None:
    path = path_of(tmp_path, "0" * 36, "1" * 32, "jsonl")
    part = Part(path, "jsonl")
    with pytest.raises(OSError, match="No space left"), part:  # noqa: PT012
        part._file.close()
        part._file = Path("/dev/full").open("wb")  # noqa: SIM115
        part.write(b"{}\n")
        raise asyncio.CancelledError
    assert list(tmp_path.iterdir()) == []


def test_what_is_deleted_is_gone_with_its_files_and_takes_nothing(tmp_path: Path) -> None:
    paths = [path_of(tmp_path, export_id * 36, "1" * 32, "csv") for export_id in "01"]
    for path in paths:
        path.write_bytes(b"abc")
    assert disk(tmp_path).used == 6
    assert disk(tmp_path / "not" / "there").free > 0
    remove(tmp_path, "0" * 36)
    assert list(tmp_path.iterdir()) == [paths[1]]
    order = Order({}, ("id",)).as_content()
    facts = [
        Fact("order", 0, "", order, NOW),
        Fact("claim", 1, "a", order, NOW),
        Fact("run", 1, "a", {"state": "success", "bytes_written": 3}, NOW),
    ]
    assert held(facts, NOW, LEASE) == Held("success", 3, NOW)
    deleted = [*facts, Fact("delete", 1, "", {}, NOW)]
    assert export(deleted, NOW, LEASE) is held(deleted, NOW, LEASE) is None


def test_limits_are_settings_and_faulty_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUNNING", "FILES", "WORKSPACE_BYTES", "ORDERS", "BYTES"):
        monkeypatch.setenv(f"FEEDBACK_EXPORT_MAX_{name}", "7")
    monkeypatch.setenv("FEEDBACK_EXPORT_MIN_FREE_BYTES", "0")
    assert QuerySettings().export_limits == Limits(7, 7, 7, 7, 7, 0)
    monkeypatch.setenv("FEEDBACK_EXPORT_MAX_FILES", "0")
    with pytest.raises(ValueError, match="export_max_files"):
        QuerySettings()
