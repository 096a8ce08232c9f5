"""Finds the workspaces that exist: those with stored data or with an API key."""

from difflib import get_close_matches

from clickhouse_connect.driver.client import Client

from operations.connections import CommandError

_DEFAULT = "default"
_TABLES = ("feedback_rows", "request_log_rows", "rollup_rows", "rollup_removals", "erasures_under_way", "api_keys")
_IS_THERE = " UNION ALL ".join(
    f"(SELECT 1 FROM feedback.{table} WHERE workspace = {{workspace:String}} LIMIT 1)" for table in _TABLES
)
_ALL = " UNION DISTINCT ".join(f"SELECT toString(workspace) AS w FROM feedback.{table}" for table in _TABLES)
_MOST_NAMED = 20


def exists(client: Client, workspace: str) -> bool:
    """Whether the workspace exists; `default` always does."""
    return workspace == _DEFAULT or bool(client.query(_IS_THERE, {"workspace": workspace}).result_rows)


def require(client: Client, workspace: str) -> None:
    """CommandError, which lists all workspaces, where this one does not exist."""
    if exists(client, workspace):
        return
    known = sorted({_DEFAULT, *(row[0] for row in client.query(f"SELECT DISTINCT w FROM ({_ALL})").result_rows)})
    near = get_close_matches(workspace, known, 1)
    named = ", ".join(known[:_MOST_NAMED]) + (f" and {len(known) - _MOST_NAMED} more" if known[_MOST_NAMED:] else "")
    meant = f"Did you mean {near[0]}? " if near else ""
    raise CommandError(
        f"There is no workspace {workspace!r}: nothing is stored of it and no API key opens it. {meant}"
        f"There are: {named}."
    )
