"""Which migrations this version knows, and what to say of a ClickHouse whose tables are of another.

The SQL files that are released with a version are the migrations it knows; which of them are in force, ClickHouse says
in feedback.schema_migrations.
"""

from collections.abc import Collection
from pathlib import Path

APPLIED = "SELECT version FROM feedback.schema_migrations FINAL"

_FILES = Path(__file__).parents[1] / "deploy" / "clickhouse"


class TablesError(RuntimeError):
    """The tables are not those of this version; the message is for a person and names the command to run."""


class OlderTablesError(TablesError):
    """They lack what a migration makes, which may be under way."""


def known_migrations() -> frozenset[int]:
    """The numbers of the migrations that this version has files of."""
    return frozenset(int(file.name[:4]) for file in _FILES.glob("[0-9]*.up.sql"))


def require_tables(applied: Collection[int]) -> None:
    """TablesError where these are not the migrations that this version knows."""
    known = known_migrations()
    if not applied:
        raise OlderTablesError("ClickHouse has no tables of Feedback API yet: run `feedback migrate`.")
    if newer := set(applied) - known:
        raise TablesError(
            f"ClickHouse has the tables of a newer version (migration {max(newer)}, this program knows {max(known)}):"
            f" upgrade this program, or run `feedback migrate --to {max(known)}` of the newer one."
        )
    if missing := known - set(applied):
        raise OlderTablesError(
            f"ClickHouse has the tables of an older version (without migration {min(missing)}, and this program needs"
            f" {max(known)}): run `feedback migrate` of this version."
        )
