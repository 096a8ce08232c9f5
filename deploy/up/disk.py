"""Watches the free space of the disks that `feedback up` writes to, and names the folder where it is short."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

_MEGABYTE = 1_000_000
LITTLE_BYTES = 512 * _MEGABYTE
NONE_BYTES = 32 * _MEGABYTE
"""Below this the engines do not start, and ClickHouse soon refuses rows."""
LEAST_FOR_LOGS = _MEGABYTE

_LOOK_EVERY_S = 10.0
_SAY_EVERY_S = 60.0


@dataclass(frozen=True)
class WatchedDisk:
    """A disk by the folder that is on it, with the bytes below which it is nearly full, and full."""

    folder: Path
    little: int = LITTLE_BYTES
    none: int = NONE_BYTES

    @property
    def ends_programs(self) -> bool:
        """Whether programs may end because it is full: not one that only logs or exports are on."""
        return self.none == NONE_BYTES and self.is_full

    @property
    def free(self) -> int:
        """How many bytes an ordinary user may still write there."""
        return free_bytes(existing(self.folder))

    @property
    def is_full(self) -> bool:
        return self.free < self.none

    @property
    def shortage(self) -> str:
        """The warning about it; empty where there is room."""
        return shortage(self.free, self.folder, self.little, self.none)


def disks_of(data_dir: Path, engines: Iterable[str], export_dir: Path) -> list[WatchedDisk]:
    """The disks below a data folder with these engines, each once."""
    folders = [WatchedDisk(data_dir), *(WatchedDisk(data_dir / name) for name in engines)]
    # A small disk is enough for these, and stops nobody while it is not full.
    folders += [WatchedDisk(each, LEAST_FOR_LOGS, LEAST_FOR_LOGS) for each in (data_dir / "logs", export_dir)]
    return list({existing(each.folder).stat().st_dev: each for each in reversed(folders)}.values())[::-1]


def shortage(free: int, folder: Path, little: int = LITTLE_BYTES, none: int = NONE_BYTES) -> str:
    """The warning about so many free bytes; empty where they are enough."""
    left = f"{free / _MEGABYTE:,.0f} MB are left" if free >= 0 else "it takes no more files"
    if free < none:
        return f"the disk that holds {folder} is full ({left}): make room there."
    if free < little:
        return f"the disk that holds {folder} is nearly full ({left}): make room there."
    return ""


def free_bytes(folder: Path) -> int:
    """How many bytes an ordinary user may still write to the disk of the folder; -1 where it takes no more files."""
    found = os.statvfs(folder)
    return -1 if found.f_files and not found.f_favail else found.f_bavail * found.f_frsize


def existing(folder: Path) -> Path:
    """The folder, or its nearest parent that exists."""
    return next(each for each in (folder, *folder.parents) if os.access(each, os.F_OK) or each == each.parent)


def is_on_a_disk(folder: Path) -> bool:
    """Whether the folder can hold files at all: /proc and the like have no size."""
    return os.statvfs(folder).f_blocks > 0


async def say_shortages(disks: Iterable[WatchedDisk], say: Callable[[str], None]) -> None:
    """Say, as long as this runs, which disks are short of space: at once when that changes, and then once a minute."""
    states = dict.fromkeys(disks, (0, 0.0))
    while True:
        for disk, (former, said) in states.items():
            free = disk.free
            level = sum(free < least for least in (disk.little, disk.none))
            now = time.monotonic()
            if level and (level != former or now - said >= _SAY_EVERY_S):
                say(shortage(free, disk.folder, disk.little, disk.none))
                said = now
            states[disk] = level, said
        await asyncio.sleep(_LOOK_EVERY_S)
