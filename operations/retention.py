"""The settings that say how long data is kept and when feedback counts as orphaned, and how they reach ClickHouse.

A trace is removed as a whole by `feedback expire`, so no table with parts of traces deletes rows by itself. Bodies of
requests, rollups, dead letters and idempotency keys have a time to live in ClickHouse, which deletes them when it
merges parts, some time after they are due.
"""

import re
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from operations.connections import CommandError, as_command_errors, clickhouse, connect

TRACES_SETTING = "FEEDBACK_KEEP_TRACES_DAYS"
ROLLUPS_SETTING = "FEEDBACK_KEEP_ROLLUPS_DAYS"
BODIES_SETTING = "FEEDBACK_KEEP_REQUEST_LOGS_DAYS"
ORPHAN_SETTING = "FEEDBACK_ORPHAN_AFTER_HOURS"
# Topics keep records for seven days, and a record that is read again must find the state that it was joined to.
_LEAST_WITH_REPLAY = 8
DEFAULT_ORPHAN_AFTER_HOURS = 168
_DAY = 86_400


class RetentionError(CommandError):
    """A setting cannot be applied. The message is for a person."""


@dataclass(frozen=True)
class Setting:
    """A setting in days, with its default and its least value; None: for ever."""

    name: str
    default_days: int | None = None
    least_days: int = 1

    def days(self, environment: Mapping[str, str]) -> int | None:
        """Its value in this environment. RetentionError where it is not valid."""
        text = environment.get(self.name, "")
        if not text:
            return self.default_days
        if text.isdecimal() and int(text) == 0:
            return None
        if not text.isdecimal() or not self.least_days <= int(text) <= 36_500:
            raise RetentionError(
                f"{self.name} must be {self.least_days} to 36500 days, or 0 to keep for ever, got {text!r}."
            )
        return int(text)


@dataclass(frozen=True)
class RetentionPolicy:
    """What ClickHouse deletes by itself: rows of a table, or the content of some columns. `by` is the column with the
    age; they are kept for `days_more` days beyond the setting."""

    setting: Setting
    table: str
    by: str
    columns: tuple[str, ...] = ()
    days_more: int = 0

    @property
    def what(self) -> str:
        return f"{', '.join(self.columns)} of {self.table}" if self.columns else self.table


_TRACES = Setting(TRACES_SETTING, least_days=_LEAST_WITH_REPLAY)
_ROLLUPS = Setting(ROLLUPS_SETTING)
_DEAD = Setting("FEEDBACK_KEEP_DEAD_LETTERS_DAYS", least_days=_LEAST_WITH_REPLAY)
_KEYS = Setting("FEEDBACK_KEEP_IDEMPOTENCY_KEYS_DAYS", 30, _LEAST_WITH_REPLAY)
_BODIES = ("request_headers", "request_body", "response_headers", "response_body")
ANOTHER_RULE = -1
"""The days of a time to live that is not written as ours are now: it is replaced."""
# The view policy counts days back from now, and its times begin in 1970.
_MOST_DAYS_BACK = 20_000
# A day is shown and recomputed only while all its rows exist, so its rows are deleted days after it is hidden.
_UNSEEN_DAYS = 2

POLICIES = (
    RetentionPolicy(Setting(BODIES_SETTING), "request_log_rows", "started_at", _BODIES),
    RetentionPolicy(_ROLLUPS, "rollup_rows", "start", days_more=_UNSEEN_DAYS),
    RetentionPolicy(_ROLLUPS, "feedback_hour_rows", "hour", days_more=_UNSEEN_DAYS),
    RetentionPolicy(_DEAD, "dead_letters", "recorded_at"),
    RetentionPolicy(_KEYS, "idempotency_keys", "claimed_at"),
)
SETTINGS = (_TRACES, *dict.fromkeys(each.setting for each in POLICIES))
# Tables with parts of traces. In data of earlier versions they may have a time to live.
TRACE_TABLES = ("journal", "feedback_rows", "trace_aggregate_rows", "request_log_rows")


_IN_FORCE = """
SELECT name, engine_full, create_table_query, (SELECT groupArray([name, value]) FROM feedback.settings FINAL) AS noted
FROM system.tables WHERE database = 'feedback'
"""


@dataclass(frozen=True)
class _AppliedPolicies:
    """What ClickHouse keeps now: engine and statement of each table, and the stored numbers, by name."""

    tables: Mapping[str, tuple[str, str]]
    settings: Mapping[str, int]

    def days(self, kept: RetentionPolicy) -> int | None:
        """For how many days the data of this policy are kept; None: for ever."""
        if not kept.columns:
            return self.days_of_table(kept.table)
        # All columns of one policy have the same time to live.
        columns = self.tables[kept.table][1]
        return _days_in(columns.partition(f"`{kept.columns[-1]}` ")[2].partition("`")[0])

    def days_of_table(self, table: str) -> int | None:
        """For how many days the rows of a table are kept; None: for ever."""
        return _days_in(self.tables[table][0])


def _days_in(definition: str) -> int | None:
    """The days of the time to live in the definition of a column or an engine; None where it has none."""
    rule = definition.partition(" TTL ")[2]
    if not rule:
        return None
    found = re.match(r"toDateTime64\(\w+, 0\) \+ toIntervalDay\((\d+)\)", rule)
    return int(found[1]) if found else ANOTHER_RULE


def require_valid(environment: Mapping[str, str]) -> None:
    """RetentionError, which names the setting, where one is not valid."""
    for each in SETTINGS:
        each.days(environment)
    orphan_after_hours(environment)


def days_of_traces(environment: Mapping[str, str]) -> int | None:
    """After how many days without an event a trace is removed; None: never. RetentionError."""
    return _TRACES.days(environment)


def orphan_after_hours(environment: Mapping[str, str]) -> int:
    """Hours after which pending feedback counts as orphaned. RetentionError where the setting is not valid."""
    text = environment.get(ORPHAN_SETTING, "") or str(DEFAULT_ORPHAN_AFTER_HOURS)
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise RetentionError(f"{ORPHAN_SETTING} must be 1 to 1000000 hours, got {text!r}.")
    return int(text)


def apply_settings(url: str, environment: Mapping[str, str]) -> list[str]:
    """Apply the settings to a migrated ClickHouse; a sentence for each change. CommandError if that fails."""
    require_valid(environment)
    with clickhouse(url) as client:
        return _apply_all(client, environment)


def apply_settings_to_any_version(url: str, environment: Mapping[str, str]) -> list[str]:
    """The same for tables of another version; nothing where a table with settings is missing. CommandError."""
    require_valid(environment)
    with closing(connect(url)) as client, as_command_errors(url):
        found = {
            row[0] for row in client.query("SELECT name FROM system.tables WHERE database = 'feedback'").result_rows
        }
        ruled = {"settings", *TRACE_TABLES, *(each.table for each in POLICIES)}
        return _apply_all(client, environment) if ruled <= found else []


def _apply_all(client: Client, environment: Mapping[str, str]) -> list[str]:
    """Apply valid settings; a sentence for each change. Raises what the client raises."""
    hours = orphan_after_hours(environment)
    applied = _read_applied(client)
    changed = [
        sentence for table in TRACE_TABLES if (sentence := _keep_rows(client, table, applied.days_of_table(table)))
    ]
    _show_rollups(client, applied, min(_ROLLUPS.days(environment) or 0, _MOST_DAYS_BACK))
    for each in POLICIES:
        days = each.setting.days(environment)
        wanted = None if days is None else days + each.days_more
        if applied.days(each) != wanted:
            changed.append(_apply(client, each, wanted))
    if applied.settings.get("orphan_after_hours", DEFAULT_ORPHAN_AFTER_HOURS) != hours:
        store_setting(client, "orphan_after_hours", hours)
        changed.append(f"feedback without a request counts as orphaned after {hours} hours")
    return changed


def _show_rollups(client: Client, applied: _AppliedPolicies, days: int) -> None:
    """Hide days before their rows may be deleted, and never show a day again whose rows may be incomplete."""
    before = applied.settings.get("keep_rollups_days", 0)
    if before and (days == 0 or days > before):
        today = int(time.time()) // _DAY * _DAY
        store_setting(
            client, "rollups_gone_before", max(today - before * _DAY, applied.settings.get("rollups_gone_before", 0))
        )
    if days != before:
        store_setting(client, "keep_rollups_days", days)


def store_offset_base(url: str, base: int) -> None:
    """Note in ClickHouse what the workers of this machine add to offsets. CommandError."""
    with clickhouse(url) as client:
        store_setting(client, "offset_base", base)


def store_setting(client: Client, name: str, value: int | str) -> None:
    """Store a value in ClickHouse for other programs and commands."""
    row = (name, str(value))
    client.insert("feedback.settings", [row], column_names=["name", "value"], settings={"async_insert": 0})


def read_setting(client: Client, name: str, default: int) -> int:
    """The number that was stored last under this name."""
    query = "SELECT value FROM feedback.settings FINAL WHERE name = {name:String}"
    rows = client.query(query, {"name": name}).result_rows
    return int(rows[0][0]) if rows else default


def applied_days(client: Client, kept: RetentionPolicy) -> int | None:
    """For how many days ClickHouse keeps the data of this policy; None: for ever."""
    return _read_applied(client).days(kept)


def _read_applied(client: Client) -> _AppliedPolicies:
    """What ClickHouse keeps now, by one query."""
    found = client.query(_IN_FORCE).result_rows
    numbers = dict(found[0][3]) if found else {}
    return _AppliedPolicies(
        {name: (engine, made) for name, engine, made, _ in found},
        {name: int(value) for name, value in numbers.items() if value.isdecimal()},
    )


def _keep_rows(client: Client, table: str, days: int | None) -> str:
    """Remove the time to live from a table whose rows are removed with their traces."""
    if days is None:
        return ""
    client.command(f"ALTER TABLE feedback.{table} REMOVE TTL")
    return f"{table} drops no row by itself any more"


def _apply(client: Client, kept: RetentionPolicy, days: int | None) -> str:
    # A DateTime ends in 2106 and begins anew in 1970: beyond that, what is to be kept longest would go at once.
    lasts = "REMOVE TTL" if days is None else f"TTL toDateTime64({kept.by}, 0) + toIntervalDay({days})"
    changes = [f"MODIFY COLUMN {column} {lasts}" for column in kept.columns]
    changes = changes or [lasts if days is None else f"MODIFY {lasts}"]
    client.command(f"ALTER TABLE feedback.{kept.table} {', '.join(changes)}")
    return f"ClickHouse keeps {kept.what} for {'ever' if days is None else f'{days} days'}"
