"""How many exports there may be, and how large: what a call or a run may still have, decided from what there is.

Pure. A refusal says which limit was reached, what is there, and what to do.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from query_api.exports.limits import Limits
from query_api.exports.state import Held
from runtime.http_errors import ApiError, retry_after

MAX_ORDER_BYTES = 64 << 20
"""What a workspace's orders and starts of one period may take in ClickHouse."""

_SOON_S = 5


class NoRoomError(Exception):
    """A file may not grow any more; the message is for whoever reads the export."""


@dataclass(frozen=True)
class Recent:
    """The orders and starts of a workspace within the time for which files are kept, and when the first of them was."""

    number: int
    size: int
    first_at: datetime | None


@dataclass(frozen=True)
class Usage:
    """What a workspace's exports take now, by id, and when the first file goes."""

    running: int
    sizes: Mapping[str, int]
    frees_at: datetime | None


@dataclass(frozen=True)
class Disk:
    """What the files of all exports take, and what is free where they are."""

    used: int
    free: int


def usage(exports: Mapping[str, Held], now: datetime, keep: timedelta) -> Usage:
    """What these exports take, those left out whose file is gone or never came."""
    running = {each: one for each, one in exports.items() if one.status == "in_progress"}
    kept = {each: one for each, one in exports.items() if one.ended_at and one.ended_at + keep > now}
    sizes = {each: one.bytes_written for each, one in (kept | running).items()}
    return Usage(len(running), sizes, min((one.ended_at + keep for one in kept.values() if one.ended_at), default=None))


def check_orders(limits: Limits, recent: Recent, keep: timedelta, now: datetime) -> None:
    """ApiError 429 where a workspace orders and starts too much."""
    hours = f"{keep / timedelta(hours=1):g} hours"
    wait = _seconds(now, recent.first_at and recent.first_at + keep)
    if recent.number >= limits.orders:
        raise _too_many(
            f"this workspace has ordered or started {recent.number} exports within {hours}, and may"
            f" {limits.orders} (FEEDBACK_EXPORT_MAX_ORDERS): wait {wait} s",
            wait,
        )
    if recent.size >= MAX_ORDER_BYTES:
        raise _too_many(
            f"the orders and starts of this workspace within {hours} take {recent.size} bytes, and may"
            f" {MAX_ORDER_BYTES}: wait {wait} s, and order with fewer values in filters",
            wait,
        )


def check_start(limits: Limits, used: Usage, now: datetime) -> None:
    """ApiError 429 or 507 where a workspace may not start another export."""
    if used.running >= limits.running:
        raise _too_many(
            f"{used.running} exports of this workspace are in progress, and {limits.running} may be"
            " (FEEDBACK_EXPORT_MAX_RUNNING): wait until one has ended, or cancel one",
            _SOON_S,
        )
    wait = _seconds(now, used.frees_at)
    if len(used.sizes) >= limits.files:
        raise _too_many(
            f"this workspace has {len(used.sizes)} exported files or exports in progress, and may have {limits.files}"
            f" (FEEDBACK_EXPORT_MAX_FILES): {_remove(wait)}",
            wait,
        )
    size = sum(used.sizes.values())
    if size >= limits.workspace_bytes:
        raise ApiError(_full(limits, size, wait), status=507)


def check_disk(limits: Limits, disk: Disk) -> None:
    """ApiError 507 where there is no room for another file, whoever's it is."""
    if reason := no_room(limits, disk):
        raise ApiError(reason, status=507)


def no_room(limits: Limits, disk: Disk) -> str | None:
    """Why no file may grow any more; None where it may."""
    if disk.free < limits.free_bytes:
        return (
            f"the disk of exported files has {max(disk.free, 0)} bytes free, and {limits.free_bytes} must stay so"
            " (FEEDBACK_EXPORT_MIN_FREE_BYTES): whoever runs the server makes room"
        )
    if disk.used >= limits.all_bytes:
        return (
            f"the exported files of all workspaces take {disk.used} bytes, and may {limits.all_bytes}"
            " (FEEDBACK_EXPORT_MAX_BYTES): delete exports that are not needed, or wait until some expire"
        )
    return None


def no_room_for_workspace(limits: Limits, sizes: Iterable[int]) -> str | None:
    """Why no file of a workspace whose files have these sizes may grow any more; None where it may."""
    size = sum(sizes)
    return _full(limits, size, None) if size > limits.workspace_bytes else None


def _full(limits: Limits, size: int, wait: int | None) -> str:
    return (
        f"the exported files of this workspace take {size} bytes, and may {limits.workspace_bytes}"
        f" (FEEDBACK_EXPORT_MAX_WORKSPACE_BYTES): {_remove(wait)}, or ask for fewer rows"
    )


def _remove(wait: int | None) -> str:
    until = "wait until one expires" if wait is None else f"wait {wait} s until the first expires"
    return f"delete one that is not needed (DELETE /v1/logs/exports/{{id}}), or {until}"


def _too_many(message: str, wait: int) -> ApiError:
    return ApiError(message, status=429, headers=retry_after(wait))


def _seconds(now: datetime, until: datetime | None) -> int:
    return max(_SOON_S, math.ceil((until - now).total_seconds())) if until else _SOON_S
