"""Checks before anything is started: a data folder that no other process uses, disk space, and free ports.

Each failure is one sentence that names the option to change.
"""

import fcntl
import importlib.util
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.up.disk import NONE_BYTES, existing, free_bytes, is_on_a_disk, shortage
from runtime.folder_errors import why_unusable
from runtime.listen_addresses import cannot_listen
from runtime.utf8 import is_utf8


class CannotStartError(RuntimeError):
    """Something on this machine prevents a start. The message says what to change."""


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Create the folder, readable by its owner alone, and lock it against a second supervisor. CannotStartError."""
    if not is_utf8(str(folder)):
        raise CannotStartError(f"{str(folder)!r} is not UTF-8 text: give another folder with --data-dir.")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not folder.stat().st_mode & stat.S_ISVTX:  # a shared folder such as /tmp stays shared
            folder.chmod(0o700)
        lock = (folder / "lock").open("a+")
    except OSError as error:
        raise CannotStartError(
            f"{folder} cannot hold data ({why_unusable(folder, error)}): give another folder with --data-dir."
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise CannotStartError(
                f"{folder} is in use by another feedback up (process {lock.read().strip() or 'unknown'}):"
                " stop that one, or give another folder with --data-dir."
            ) from None
        try:
            lock.truncate(0)
            os.write(lock.fileno(), f"{os.getpid()}\n".encode())  # unbuffered, so that closing cannot fail again
        except OSError as error:
            raise CannotStartError(f"{folder} cannot be written to: {error.strerror}.") from None
        yield


def refuse_full_disk(folder: Path) -> None:
    """CannotStartError where the disk of the folder has too little space for the engines to start."""
    there = existing(folder)
    # Where there is no disk, the folder cannot be made, and `locked_folder` says so.
    if is_on_a_disk(there) and (free := free_bytes(there)) < NONE_BYTES:
        raise CannotStartError(f"{shortage(free, folder)[:-1]}, or give another folder with --data-dir.")


def refuse_taken_ports(ports: Mapping[str, tuple[str, int]]) -> None:
    """CannotStartError at the first port that is not free. `ports` maps an option to its host and port."""
    seen: dict[int, str] = {}
    for option, (host, port) in ports.items():
        if port in seen:
            raise CannotStartError(f"{seen[port]} and {option} both mean port {port}: change one of them.")
        seen[port] = option
        if port > 65535:
            raise CannotStartError(f"There is no port {port}: give a lower one with {option}.")
        if fault := cannot_listen(host, port):
            raise CannotStartError(f"P{fault[1:]}: stop what listens there, or give another with {option}.")


def require_embedded_clickhouse() -> None:
    """CannotStartError where chDB is not installed."""
    if importlib.util.find_spec("chdb") is None:
        raise CannotStartError(
            "The embedded ClickHouse is not installed: install feedback-api[embedded], or set FEEDBACK_CLICKHOUSE_URL"
            " to the address of a ClickHouse."
        )
