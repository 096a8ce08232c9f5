"""Brings ClickHouse's tables to a version: the SQL files of deploy/clickhouse, in order, up or down.

A file is recorded in feedback.schema_migrations after its last statement. Statements say IF [NOT] EXISTS, so a file
that failed half-way, or that two processes apply at once, is simply applied again. Nothing here knows a table.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from operations.connections import CommandError, connect, server_message

FOLDER = Path(__file__).parents[1] / "deploy" / "clickhouse"

# A large table may be written anew, and ClickHouse says nothing until it is.
_PATIENCE_S = 24 * 3600

_RECORDS = (
    "CREATE DATABASE IF NOT EXISTS feedback",
    """CREATE TABLE IF NOT EXISTS feedback.schema_migrations
    (
        version    UInt32 COMMENT 'The number its file begins with',
        name       String COMMENT 'The name of its file',
        changed_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was applied or undone',
        is_undone  UInt8 DEFAULT 0
    )
    ENGINE = ReplacingMergeTree(changed_at, is_undone)
    ORDER BY version
    COMMENT 'Migrations in force; read it with FINAL'""",
)


_DROPPED_TABLE = re.compile(r"DROP TABLE IF EXISTS feedback\.(\w+)")
_ALTERED_TABLE = re.compile(r"ALTER TABLE feedback\.(\w+)")
_DROPPED_COLUMN = re.compile(r"DROP COLUMN IF EXISTS (\w+)")
_ROWS_OF = "SELECT total_rows FROM system.tables WHERE database = 'feedback' AND name = {name:String}"


class MigrationError(CommandError):
    """A migration cannot be found, reached or applied; the message is for a person."""


@dataclass(frozen=True, order=True)
class Migration:
    """One numbered change: a file that makes it and, if it can be undone, a file that undoes it."""

    version: int
    name: str
    up: Path
    down: Path | None


@dataclass(frozen=True)
class Step:
    """One migration to apply or to undo."""

    migration: Migration
    undo: bool = False

    @property
    def name(self) -> str:
        return f"{self.migration.version:04d}_{self.migration.name}"

    def __str__(self) -> str:
        return f"{'undone' if self.undo else 'applied'} {self.name}"


def migrations(folder: Path = FOLDER) -> list[Migration]:
    """The folder's migrations by version. MigrationError where two have the same number."""
    found: dict[int, Migration] = {}
    for up in sorted(folder.glob("*.up.sql")):
        match = re.fullmatch(r"(\d{4})_(\w+)\.up\.sql", up.name)
        if match is None:
            raise MigrationError(f"{up} is not named as a migration is: NNNN_name.up.sql.")
        version = int(match[1])
        if version in found:
            raise MigrationError(f"{up.name} and {found[version].up.name} have the same number: renumber one.")
        down = up.with_name(up.name.replace(".up.", ".down."))
        found[version] = Migration(version, match[2], up, down if down.exists() else None)
    return sorted(found.values())


def statements(sql: str) -> list[str]:
    """The statements of a file: each ends with a semicolon at a line's end. Lines that are comments are left out."""
    kept = "\n".join(line.rstrip() for line in sql.splitlines() if not line.lstrip().startswith("--"))
    return [part.strip() for part in re.split(r";$", kept, flags=re.MULTILINE) if part.strip()]


def plan(available: Iterable[Migration], applied: Collection[int], to: int | None = None) -> list[Step]:
    """What leads from the applied versions to version `to`, in order; without `to`, up to the newest.

    MigrationError where a version is unknown or cannot be undone. Versions that a newer program has applied are
    left alone unless `to` asks to go below them.
    """
    known = {each.version: each for each in available}
    if to is not None and to != 0 and to not in known:
        raise MigrationError(f"There is no migration {to}: give 0 or one of {', '.join(map(str, known)) or 'none'}.")
    steps = [
        Step(each) for each in known.values() if each.version not in applied and (to is None or each.version <= to)
    ]
    for version in sorted(applied, reverse=True):
        if to is None or version <= to:
            continue
        if version not in known or known[version].down is None:
            raise MigrationError(f"Migration {version} is applied and there is no file here that undoes it.")
        steps.append(Step(known[version], undo=True))
    return steps


def migrate(url: str, to: int | None = None, folder: Path = FOLDER) -> list[Step]:
    """Apply or undo what leads to version `to` (without it: to the newest); the steps that were taken.

    `url` is http://user:password@host:port. MigrationError, with the server's words, at the first statement that
    fails; the files before it stay applied and recorded.
    """
    with closing(connect(url, _PATIENCE_S)) as client:
        steps = _planned(client, to, folder)
        for step in steps:
            _take(client, step)
        return steps


def planned(url: str, to: int | None = None, folder: Path = FOLDER) -> list[Step]:
    """The steps that `migrate` would take."""
    with closing(connect(url)) as client:
        return _planned(client, to, folder)


def removed(client: Client, step: Step) -> list[str]:
    """What undoing a migration removes: its tables with rows in them, and its columns."""
    file = step.migration.down
    assert file is not None  # plan() refuses to undo without a file
    told = []
    for sql in statements(file.read_text()):
        if table := _DROPPED_TABLE.match(sql):
            rows = client.query(_ROWS_OF, {"name": table[1]}).result_rows
            told += [f"removes table {table[1]} with {rows[0][0]:,} rows" for _ in range(bool(rows and rows[0][0]))]
        if altered := _ALTERED_TABLE.match(sql):
            told += [f"removes column {column} of {altered[1]}" for column in _DROPPED_COLUMN.findall(sql)]
    return told


def _planned(client: Client, to: int | None, folder: Path) -> list[Step]:
    available = migrations(folder)
    for number, sql in enumerate(_RECORDS, 1):
        _run(client, sql, f"schema_migrations, statement {number}")
    with _told_as("schema_migrations, the versions in force"):
        rows = client.query("SELECT version FROM feedback.schema_migrations FINAL").result_rows
    return plan(available, {row[0] for row in rows}, to)


def _take(client: Client, step: Step) -> None:
    file = step.migration.down if step.undo else step.migration.up
    assert file is not None  # plan() refuses to undo without a file
    for number, sql in enumerate(statements(file.read_text()), 1):
        _run(client, sql, f"{file.name}, statement {number}")
    with _told_as(f"{file.name}, its record"):
        client.insert(
            "feedback.schema_migrations",
            [(step.migration.version, step.migration.name, int(step.undo))],
            column_names=["version", "name", "is_undone"],
            settings={"async_insert": 0},
        )


def _run(client: Client, sql: str, what: str) -> None:
    with _told_as(what):
        client.command(sql)


@contextmanager
def _told_as(what: str) -> Iterator[None]:
    try:
        yield
    except ClickHouseError as error:
        raise MigrationError(f"Migration stopped at {what}: {server_message(error)}") from error
