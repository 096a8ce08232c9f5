"""Brings ClickHouse's tables to a version: the SQL files of deploy/clickhouse, in order, up or down.

A file is recorded in feedback.schema_migrations after its last statement. Statements say IF [NOT] EXISTS, so a file
that failed half-way, or that two processes apply at once, is simply applied again. In a new database all files are
recorded together, which is quicker; one that was cut off there is begun again. Nothing here knows a table.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from operations import carry_schema
from operations.connections import CommandError, connect, server_message
from runtime.schema_version import APPLIED, NO_TABLES_CODES

FOLDER = Path(__file__).parents[1] / "deploy" / "clickhouse"
_DATABASE = FOLDER / "0100_schema_migrations.sql"

# A large table may be written anew, and ClickHouse says nothing until it is.
_PATIENCE_S = 24 * 3600

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

    @property
    def file(self) -> Path:
        file = self.migration.down if self.undo else self.migration.up
        assert file is not None  # plan() refuses to undo without a file
        return file

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
        applied = _applied(client, to)
        steps = plan(migrations(folder), applied, to)
        if not steps:
            return []
        _run(client, _DATABASE)
        _take(client, steps, is_new=not applied)
        return steps


def planned(url: str, to: int | None = None, folder: Path = FOLDER) -> list[Step]:
    """The steps that `migrate` would take."""
    with closing(connect(url)) as client:
        return plan(migrations(folder), _applied(client, to), to)


def removed(client: Client, step: Step) -> list[str]:
    """What undoing a migration removes: its tables with rows in them, and its columns."""
    effects = []
    for sql in statements(step.file.read_text()):
        if table := _DROPPED_TABLE.match(sql):
            rows = client.query(_ROWS_OF, {"name": table[1]}).result_rows
            effects += [f"removes table {table[1]} with {rows[0][0]:,} rows" for _ in range(bool(rows and rows[0][0]))]
        if altered := _ALTERED_TABLE.match(sql):
            effects += [f"removes column {column} of {altered[1]}" for column in _DROPPED_COLUMN.findall(sql)]
    return effects


def _applied(client: Client, to: int | None) -> set[int]:
    """The versions in force; none where there is no database yet."""
    with _naming("schema_migrations, the versions in force"):
        try:
            applied = {row[0] for row in client.query(APPLIED).result_rows}
        except DatabaseError as error:
            if error.code not in NO_TABLES_CODES:
                raise
            applied = set()
    return carry_schema.without_old(applied, to)


def _take(client: Client, steps: list[Step], *, is_new: bool) -> None:
    """Carry out each step and record it, in a new database all at the end."""
    done: list[Step] = []
    try:
        for step in steps:
            _run(client, step.file)
            if is_new:
                done.append(step)
            else:
                _record(client, [step])
    except MigrationError:
        with suppress(MigrationError):
            _record(client, done)
        raise
    _record(client, done)


def _run(client: Client, file: Path) -> None:
    for number, sql in enumerate(statements(file.read_text()), 1):
        with _naming(f"{file.name}, statement {number}"):
            client.command(sql)


def _record(client: Client, steps: list[Step]) -> None:
    if not steps:
        return
    rows = ", ".join(f"({step.migration.version}, '{step.migration.name}', {int(step.undo)})" for step in steps)
    with _naming(f"the record of {', '.join(step.name for step in steps)}"):
        client.command(
            f"INSERT INTO feedback.schema_migrations (version, name, is_undone) VALUES {rows}",
            settings={"async_insert": 0},
        )


@contextmanager
def _naming(what: str) -> Iterator[None]:
    try:
        yield
    except ClickHouseError as error:
        raise MigrationError(f"Migration stopped at {what}: {server_message(error)}") from error
