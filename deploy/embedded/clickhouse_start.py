"""Opens chDB on a directory, with server settings and the rights of clickhouse_access.

Left to itself, chDB makes of `default` a database that has every file of this machine as a table, and gives its user
every right. Here `default` is an ordinary database, and there is no such other.
"""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from chdb import _chdb

from deploy.embedded.clickhouse_access import users_xml

# The engine's own handle, not the public wrapper: that one turns some format names into data frames.
connect: Any = _chdb.connect  # type: ignore[attr-defined]

# Half of the memory leaves room for the broker and the workers on the same machine; it writes no system.*_log tables,
# so there is none to expire. It has two threads for merges and mutations and lets four be under way, and a table that
# finds no place sleeps for half a second: so a mutation went through seven parts a second. With the 32 places of a
# server it does not wait; the threads stay two.
_SERVER_SETTINGS = {
    "max_server_memory_usage_to_ram_ratio": "0.5",
    "mark_cache_size": str(256 << 20),
    "background_merges_mutations_concurrency_ratio": "16",
}
_FILES = "_files"


def open_engine(path: Path) -> Any:
    """The first connection of this process, while which is open the engine lives. RuntimeError where it cannot."""
    types = _setting_types()
    _make_default_ordinary(path / "metadata")
    with TemporaryDirectory(prefix="feedback-clickhouse-") as folder:
        keeper = connect(f"{path}?{_arguments(Path(folder), types)}")
    keeper.query(f"DROP DATABASE {_FILES}", "Null")
    return keeper


def _setting_types() -> dict[str, str]:
    """The type of each setting, which the engine tells only once it runs: for a moment and without data."""
    connection = connect(":memory:")
    try:
        lines = connection.query("SELECT name, type FROM system.settings", "TSVRaw").bytes().decode().splitlines()
    finally:
        connection.close()
    return dict(line.split("\t") for line in lines)


def _make_default_ordinary(metadata: Path) -> None:
    """Describe `default` as any other database, under the UUID of what chDB has kept as it."""
    metadata.mkdir(parents=True, exist_ok=True)
    described, link = metadata / "default.sql", metadata / "default"
    kept = link.readlink().name if link.is_symlink() else None
    if not described.exists():
        described.write_text(f"ATTACH DATABASE _ UUID '{kept or uuid4()}'\nENGINE = Atomic\n")
    if kept:
        link.unlink()  # the database of files would take this UUID; the engine makes the link anew


def _arguments(folder: Path, setting_types: Mapping[str, str]) -> str:
    # chDB takes server settings as start-up arguments, as they are, and reads the files once.
    users, config = folder / "users.xml", folder / "config.xml"
    users.write_text(users_xml(setting_types))
    config.write_text("<clickhouse/>")
    arguments = {**_SERVER_SETTINGS, "default_database": _FILES, "config-file": config, "users_config": users}
    return "&".join(f"{name}={value}" for name, value in arguments.items())
