"""Opens chDB on a directory, with server settings and the rights of clickhouse_access.

By default, chDB makes `default` a database in which every file of this machine is a table, and gives its user all
rights. Here `default` is an ordinary database, and no database has files.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from uuid import uuid4

from chdb import _chdb

from deploy.embedded.clickhouse_access import users_xml

# The internal handle, not the public wrapper, which turns some format names into data frames.
connect: Any = _chdb.connect  # type: ignore[attr-defined]

# Half of the memory leaves room for the broker and the workers on the same machine; it writes no system.*_log tables,
# so there is none to expire. It has two threads for merges and mutations and lets four be under way, and a table that
# finds no place sleeps for half a second: so a mutation went through seven parts a second. With the 32 places of a
# server it does not wait; the threads stay two.
_SERVER_SETTINGS = {
    "max_server_memory_usage_to_ram_ratio": "0.5",
    "mark_cache_size": str(256 << 20),
    "background_merges_mutations_concurrency_ratio": "16",
    # Nothing streams here, and the memory is looked at twice a second instead of twenty times: at rest the engine takes
    # 4 ms of CPU a second instead of 6.
    "background_streaming_processing_pool_thread_sleep_seconds_if_nothing_to_do": "600",
    "memory_worker_period_ms": "500",
}
_FILES = "_files"


def open_engine(path: Path, scratch: Path) -> Any:
    """The first connection of this process. The engine runs while it is open. `scratch` is a folder for its settings,
    which it reads once. RuntimeError if it does not start, OSError if nothing can be written."""
    types = _setting_types()
    _make_default_ordinary(path / "metadata")
    with _file_of(scratch, "<clickhouse/>") as config, _file_of(scratch, users_xml(types)) as users:
        keeper = connect(f"{path}?{_arguments(config, users)}")
    keeper.query(f"DROP DATABASE {_FILES}", "Null")
    return keeper


def _setting_types() -> dict[str, str]:
    """The type of each setting. Only a running engine tells them, so one is started for a moment without data."""
    connection = connect(":memory:")
    try:
        lines = connection.query("SELECT name, type FROM system.settings", "TSVRaw").bytes().decode().splitlines()
    finally:
        connection.close()
    return dict(line.split("\t") for line in lines)


def _make_default_ordinary(metadata: Path) -> None:
    """Define `default` as an ordinary database, with the UUID that chDB has stored for it."""
    metadata.mkdir(parents=True, exist_ok=True)
    described, link = metadata / "default.sql", metadata / "default"
    kept = link.readlink().name if link.is_symlink() else None
    if not described.exists():
        described.write_text(f"ATTACH DATABASE _ UUID '{kept or uuid4()}'\nENGINE = Atomic\n")
    if kept:
        link.unlink()  # the database of files would take this UUID; the engine creates the link again


@contextmanager
def _file_of(scratch: Path, text: str) -> Iterator[str]:
    """The path of a file with this text. It has no name, because the name of its folder might end the argument."""
    with TemporaryFile("w+", dir=scratch) as file:
        file.write(text)
        file.flush()
        file.seek(0)
        yield f"/dev/fd/{file.fileno()}"


def _arguments(config: str, users: str) -> str:
    # chDB takes server settings as start arguments, and reads the files once.
    arguments = {**_SERVER_SETTINGS, "default_database": _FILES, "config-file": config, "users_config": users}
    return "&".join(f"{name}={value}" for name, value in arguments.items())
