"""The check that the tables in ClickHouse are those of this version.

A version knows the migrations whose SQL files it contains. The table feedback.schema_migrations says which have been
applied.
"""

from collections.abc import Collection
from pathlib import Path

APPLIED = "SELECT version FROM feedback.schema_migrations FINAL"
NO_TABLES_CODES = (60, 81)
"""What ClickHouse answers to that where nothing has been migrated yet: unknown table, unknown database."""

_FILES = Path(__file__).parents[1] / "deploy" / "clickhouse"


class TablesError(RuntimeError):
    """The tables are not those of this version. The message is for a person and names the command to run."""


class OlderTablesError(TablesError):
    """A migration has not been applied yet; it may be running."""


def known_migrations() -> frozenset[int]:
    """The numbers of the migrations that this version contains."""
    return frozenset(int(file.name[:4]) for file in _FILES.glob("[0-9]*.up.sql"))


def require_tables(applied: Collection[int]) -> None:
    """TablesError where the applied migrations are not those that this version knows."""
    known = known_migrations()
    if not applied:
        raise OlderTablesError("ClickHouse has no tables of Feedback API yet: run `feedback migrate`.")
    if (newest := max(applied)) > max(known):
        raise TablesError(
            f"ClickHouse has the tables of a newer version (migration {newest}, this program knows {max(known)}):"
            f" upgrade this program, or run `feedback migrate --to {max(known)}` of the newer one."
        )
    if missing := known - set(applied):
        raise OlderTablesError(
            f"ClickHouse has the tables of an older version (without migration {min(missing)}, and this program needs"
            f" {max(known)}): run `feedback migrate` of this version."
        )
