"""What the disk below the data folder has left, and what that means: enough, little, or none."""

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path

_MEGABYTE = 1_000_000
LITTLE_BYTES = 512 * _MEGABYTE
NONE_BYTES = 32 * _MEGABYTE
"""Below this the engines do not start, and ClickHouse refuses rows soon."""

_LOOK_EVERY_S = 10.0
_SAY_EVERY_S = 60.0


def shortage(free: int, folder: Path) -> str:
    """What to say of so many free bytes; empty where they are enough."""
    left = f"{free / _MEGABYTE:,.0f} MB are left"
    if free < NONE_BYTES:
        return f"the disk that holds {folder} is full ({left}): make room there."
    if free < LITTLE_BYTES:
        return f"the disk that holds {folder} is nearly full ({left}): make room there."
    return ""


def free_bytes(folder: Path) -> int:
    """What an ordinary user may still write to the disk that holds the folder."""
    return shutil.disk_usage(folder).free


async def say_shortage(folder: Path, say: Callable[[str], None]) -> None:
    """Say for ever what the disk lacks: at once when that changes, and once a minute while it does not."""
    level, said = 0, 0.0
    while True:
        free = free_bytes(folder)
        former, level = level, sum(free < least for least in (LITTLE_BYTES, NONE_BYTES))
        now = time.monotonic()
        if level and (level != former or now - said >= _SAY_EVERY_S):
            say(shortage(free, folder))
            said = now
        await asyncio.sleep(_LOOK_EVERY_S)
