"""How long each table keeps its rows, and when feedback counts as orphaned: settings that `feedback migrate` applies.

Every TTL is on a time that a row of the same place never gives up for an earlier one, so no older version comes back
when a newer is dropped. ClickHouse drops rows when it merges parts, some time after they are due.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from deploy.engines import CommandError, clickhouse

_FEEDBACK, _ROLLUPS = "FEEDBACK_KEEP_FEEDBACK_DAYS", "FEEDBACK_KEEP_ROLLUPS_DAYS"
ORPHAN_SETTING = "FEEDBACK_ORPHAN_AFTER_HOURS"
# Topics keep records for seven days; what may still be read from them must find the state it was joined to.
_LEAST_WITH_REPLAY = 8
DEFAULT_ORPHAN_AFTER_HOURS = 168


class RetentionError(CommandError):
    """A setting cannot be applied; the message is for a person."""


@dataclass(frozen=True)
class Kept:
    """A table, the column by which its rows age, and the setting with its bounds, in days; no days: for ever."""

    table: str
    column: str
    setting: str
    default_days: int | None = None
    least_days: int = 1


TABLES = (
    Kept("request_log_rows", "started_at", "FEEDBACK_KEEP_REQUEST_LOGS_DAYS"),
    Kept("feedback_rows", "created_at", _FEEDBACK),
    Kept("feedback_hour_rows", "hour", _FEEDBACK),
    Kept("rollup_rows", "start", _ROLLUPS),
    Kept("trace_aggregate_rows", "updated_at", "FEEDBACK_KEEP_AGGREGATES_DAYS"),
    Kept("journal", "recorded_at", "FEEDBACK_KEEP_JOURNAL_DAYS", least_days=_LEAST_WITH_REPLAY),
    Kept("dead_letters", "recorded_at", "FEEDBACK_KEEP_DEAD_LETTERS_DAYS", least_days=_LEAST_WITH_REPLAY),
    Kept("idempotency_keys", "claimed_at", "FEEDBACK_KEEP_IDEMPOTENCY_KEYS_DAYS", 30, _LEAST_WITH_REPLAY),
)


def days_of(environment: Mapping[str, str]) -> dict[Kept, int | None]:
    """For how many days each table keeps its rows; None for ever. RetentionError names the setting at fault."""
    days = {each: _days(each, environment.get(each.setting, "")) for each in TABLES}
    of = {each.setting: wanted for each, wanted in days.items()}
    if (rollups := of[_ROLLUPS]) is not None and ((feedback := of[_FEEDBACK]) is None or feedback > rollups):
        kept = "for ever" if feedback is None else f"{feedback} days"
        raise RetentionError(
            f"{_ROLLUPS} must be at least {_FEEDBACK}, or 0: feedback that is kept {kept} is always rolled up,"
            f" got {rollups}."
        )
    return days


def orphan_after_hours(environment: Mapping[str, str]) -> int:
    """Hours after which pending feedback counts as orphaned. RetentionError where the setting is no such number."""
    text = environment.get(ORPHAN_SETTING, "") or str(DEFAULT_ORPHAN_AFTER_HOURS)
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise RetentionError(f"{ORPHAN_SETTING} must be 1 to 1000000 hours, got {text}.")
    return int(text)


def apply_settings(url: str, environment: Mapping[str, str]) -> list[str]:
    """Bring a migrated ClickHouse to these settings; what was changed, a sentence each. CommandError if it fails."""
    wanted, hours = days_of(environment), orphan_after_hours(environment)
    with clickhouse(url) as client:
        changed = [sentence for each, days in wanted.items() if (sentence := _apply(client, each, days))]
        stored = client.query(
            "SELECT value FROM feedback.settings FINAL WHERE name = 'orphan_after_hours'"
        ).result_rows or [(str(DEFAULT_ORPHAN_AFTER_HOURS),)]
        if stored[0][0] != str(hours):
            _note(client, "orphan_after_hours", str(hours))
            changed.append(f"feedback without a request counts as orphaned after {hours} hours")
    return changed


def note_offset_base(url: str, base: int) -> None:
    """Leave in ClickHouse what the workers of this machine add to offsets, for who counts them. CommandError."""
    with clickhouse(url) as client:
        _note(client, "offset_base", str(base))


def _note(client: Client, name: str, value: str) -> None:
    client.insert("feedback.settings", [(name, value)], column_names=["name", "value"], settings={"async_insert": 0})


def _days(kept: Kept, text: str) -> int | None:
    if not text:
        return kept.default_days
    if text.isdecimal() and int(text) == 0:
        return None
    if not text.isdecimal() or not kept.least_days <= int(text) <= 36_500:
        raise RetentionError(
            f"{kept.setting} must be {kept.least_days} to 36500 days, or 0 to keep rows for ever, got {text}."
        )
    return int(text)


def days_in_force(client: Client, table: str) -> int | None:
    """For how many days the table keeps its rows; None for ever."""
    made = client.command(
        f"SELECT create_table_query FROM system.tables WHERE database = 'feedback' AND name = '{table}'"
    )
    present = re.search(r"toIntervalDay\((\d+)\)", str(made).partition(" TTL ")[2])
    return int(present[1]) if present else None


def _apply(client: Client, kept: Kept, days: int | None) -> str:
    if days_in_force(client, kept.table) == days:
        return ""
    if days is None:
        client.command(f"ALTER TABLE feedback.{kept.table} REMOVE TTL")
        return f"{kept.table} keeps its rows for ever"
    client.command(f"ALTER TABLE feedback.{kept.table} MODIFY TTL toDateTime({kept.column}) + toIntervalDay({days})")
    return f"{kept.table} keeps its rows for {days} days"
