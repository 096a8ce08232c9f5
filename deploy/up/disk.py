"""Watches the free space of the disk with the data folder, and warns when it is short."""

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path

_MEGABYTE = 1_000_000
LITTLE_BYTES = 512 * _MEGABYTE
NONE_BYTES = 32 * _MEGABYTE
"""Below this the engines do not start, and ClickHouse soon refuses rows."""

_LOOK_EVERY_S = 10.0
_SAY_EVERY_S = 60.0


def shortage(free: int, folder: Path) -> str:
    """The warning about so many free bytes; empty where they are enough."""
    left = f"{free / _MEGABYTE:,.0f} MB are left"
    if free < NONE_BYTES:
        return f"the disk that holds {folder} is full ({left}): make room there."
    if free < LITTLE_BYTES:
        return f"the disk that holds {folder} is nearly full ({left}): make room there."
    return ""


def free_bytes(folder: Path) -> int:
    """How many bytes an ordinary user may still write to the disk of the folder."""
    return shutil.disk_usage(folder).free


def is_on_a_disk(folder: Path) -> bool:
    """Whether the folder can hold files at all: /proc and the like have no size."""
    return shutil.disk_usage(folder).total > 0


async def say_shortage(folder: Path, say: Callable[[str], None]) -> None:
    """Say, as long as this runs, that space is short: at once when that changes, and then once a minute."""
    level, said = 0, 0.0
    while True:
        free = free_bytes(folder)
        former, level = level, sum(free < least for least in (LITTLE_BYTES, NONE_BYTES))
        now = time.monotonic()
        if level and (level != former or now - said >= _SAY_EVERY_S):
            say(shortage(free, folder))
            said = now
        await asyncio.sleep(_LOOK_EVERY_S)
