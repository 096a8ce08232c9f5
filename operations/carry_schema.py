"""Lets this version take over a ClickHouse whose tables the migrations 1 to 28 have made. Removable.

Before there was one file for each table, numbered from 0101, there were 28 migrations. The files make the tables
exactly as migration 28 left them, and say IF NOT EXISTS. So to apply them to such tables changes nothing and notes
that they are in force. The one thing to make sure of is that all 28 are.

Their records stay. An older program then says that the tables are of a newer version, and does not migrate them again.

Once no such ClickHouse is left, delete this file, its call in operations/migrate.py, its tests (test_carry_schema.py
and schema_0028.sql in tests/pipeline/operations), and the paragraph on it in docs/operations.md.
"""

from operations.connections import CommandError

OLD = frozenset(range(1, 29))


class OldTablesError(CommandError):
    """The old migrations are in force, and cannot be taken over like this; the message is for a person."""


def without_old(applied: set[int], to: int | None) -> set[int]:
    """The versions in force but for the old ones. OldTablesError where these are not all there, or where a version
    is asked for before they are taken over."""
    old, new = applied & OLD, applied - OLD
    if old and (missing := OLD - old):
        raise OldTablesError(
            f"ClickHouse has the tables of an older version that is itself out of date (without its migration"
            f" {min(missing)} of {max(OLD)}): run `feedback migrate` of the last version that has migration"
            f" {max(OLD)} first, then `feedback migrate` of this one."
        )
    if old and not new and to is not None:
        raise OldTablesError(
            f"ClickHouse has the tables of an older version (migration {max(OLD)}), which this one takes over first:"
            " run `feedback migrate` without --to."
        )
    return new
