"""ClickHouse keeps what stands for itself as long as the settings say, and drops nothing that a trace is made of."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.httpclient import HttpClient

from operations.broker_offsets import wait_for_highest_sequence
from operations.expire.command import _days_ago
from operations.retention import POLICIES, SETTINGS, TRACE_TABLES, RetentionError, applied_days, apply_settings
from schemas.topics import INPUTS, TOPICS
from tests.pipeline.engines import clickhouse_with_tables

NAMES = [each.name for each in SETTINGS]
DEFAULTS = {each.what: each.setting.default_days for each in POLICIES}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A ClickHouse of its own: what is set here must drop nobody else's rows."""
    with clickhouse_with_tables(tmp_path_factory.mktemp("retention") / "clickhouse") as address:
        apply_settings(address, {})
        yield address


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    found = clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False)
    yield found
    found.close()


def days_of_all(client: Client) -> dict[str, int | None]:
    return {each.what: applied_days(client, each) for each in POLICIES}


def with_ttl(client: Client) -> set[str]:
    """Tables whose rows go by themselves."""
    found = client.query("SELECT name FROM system.tables WHERE database = 'feedback' AND engine_full LIKE '% TTL %'")
    return {row[0] for row in found.result_rows}


@pytest.mark.parametrize("setting", NAMES)
def test_a_setting_rules_what_it_is_about_and_nothing_else_and_is_taken_back(
    url: str, client: Client, setting: str
) -> None:
    apply_settings(url, {setting: "500"})
    ruled = {each.what: 500 + each.days_more for each in POLICIES if each.setting.name == setting}
    assert days_of_all(client) == DEFAULTS | ruled
    assert not with_ttl(client) & set(TRACE_TABLES)
    assert apply_settings(url, {setting: "500"}) == []
    apply_settings(url, {})
    assert days_of_all(client) == DEFAULTS


def test_settings_that_are_in_force_already_take_one_query(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for name in ("query", "command", "insert"):
        method = getattr(HttpClient, name)

        def noted(client: HttpClient, statement: str, *given: Any, method: Any = method, **options: Any) -> Any:
            asked.append(statement)
            return method(client, statement, *given, **options)

        monkeypatch.setattr(HttpClient, name, noted)
    apply_settings(url, {})
    about_settings = [each for each in asked if "feedback" in each and "schema_migrations" not in each]
    assert len(about_settings) == 1


@pytest.mark.parametrize("setting", NAMES)
@pytest.mark.parametrize("days", ["-1", "1.5", "a week", "36501"])
def test_a_setting_that_is_no_number_of_days_is_refused(url: str, setting: str, days: str) -> None:
    with pytest.raises(RetentionError, match=f"^{setting} must be [18] to 36500 days, or 0 .* got '{days}'"):
        apply_settings(url, {setting: days})


def test_kafka_has_no_record_for_longer_than_what_a_replay_rests_on_is_kept() -> None:
    """Kafka deletes a segment once its last record is old enough. With its default of seven days for one, records
    stayed for fourteen, and the audit missed dead letters that were dropped after eight."""
    kept_ms = max(
        (each.retention_ms or 0) + int(each.settings()["segment.ms"]) for each in TOPICS if each.name in INPUTS
    )
    assert kept_ms < min(each.least_days for each in SETTINGS if each.least_days > 1) * 86_400_000


@pytest.mark.parametrize("setting", [each.name for each in SETTINGS if each.least_days == 8])
def test_what_a_replay_rests_on_outlives_the_records_of_the_input_topics(url: str, setting: str) -> None:
    with pytest.raises(RetentionError, match=f"^{setting} must be 8 to"):
        apply_settings(url, {setting: "7"})


def test_a_table_that_dropped_rows_of_a_trace_by_itself_does_so_no_more(url: str, client: Client) -> None:
    """As a data folder of before may do."""
    ages = {"journal": "recorded_at", "feedback_rows": "created_at", "trace_aggregate_rows": "updated_at"}
    for table, column in (ages | {"request_log_rows": "started_at"}).items():
        client.command(f"ALTER TABLE feedback.{table} MODIFY TTL toDateTime({column}) + toIntervalDay(900)")
    assert with_ttl(client) >= set(TRACE_TABLES)
    assert len(apply_settings(url, {})) == len(TRACE_TABLES)
    assert not with_ttl(client) & set(TRACE_TABLES)


def test_bodies_that_are_due_go_and_what_a_request_says_of_its_trace_stays(url: str, client: Client) -> None:
    now = datetime.now(UTC)
    client.insert(
        "feedback.request_log_rows",
        [
            (
                "ttl",
                "01970000-0000-8000-8000-9b11edf90000",
                f"{days} days old",
                now - timedelta(days=days),
                "m",
                "{}",
                "{}",
            )
            for days in (60, 20)
        ],
        column_names=["workspace", "request_id", "trace_id", "started_at", "model", "request_body", "response_headers"],
    )
    kept = (
        "SELECT trace_id, model, request_body, response_headers FROM feedback.request_log_rows"
        " WHERE workspace = 'ttl' ORDER BY trace_id"
    )
    whole = [("20 days old", "m", "{}", "{}"), ("60 days old", "m", "{}", "{}")]
    assert client.query(kept).result_rows == whole
    apply_settings(url, {"FEEDBACK_KEEP_REQUEST_LOGS_DAYS": "30"})
    client.command("OPTIMIZE TABLE feedback.request_log_rows FINAL")
    assert client.query(kept).result_rows == [whole[0], ("60 days old", "m", "", "")]
    apply_settings(url, {})


def test_hours_and_days_are_shown_while_all_of_them_is_there(url: str, client: Client) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = [
        ("kept", period, "all", today - timedelta(days=days), "", "", 1, [], 5)
        for period in ("hour", "day")
        for days in (29, 30, 31, 400)
    ]
    columns = ["workspace", "period", "dimension", "start", "environment", "key", "feedback_count", "value_counts"]
    client.insert("feedback.rollup_rows", rows, column_names=[*columns, "version"])
    shown = "SELECT dateDiff('day', start, now('UTC')) FROM feedback.rollups WHERE workspace = 'kept' ORDER BY ALL"
    assert client.query(shown).result_columns == [[29, 29, 30, 30, 31, 31, 400, 400]]
    apply_settings(url, {"FEEDBACK_KEEP_ROLLUPS_DAYS": "30"})
    client.command("OPTIMIZE TABLE feedback.rollup_rows FINAL")
    assert client.query(shown).result_columns == [[29, 29, 30, 30]]
    dropped = client.query("SELECT count() FROM feedback.rollup_rows WHERE workspace = 'kept'").result_rows
    assert dropped == [(6,)], "what is shown no more is dropped some days later"
    apply_settings(url, {})
    assert client.query(shown).result_columns == [[29, 29, 30, 30]], (
        "a day of which some may be gone is not shown again"
    )


def test_what_is_kept_for_a_century_stays_and_so_does_what_a_wrong_clock_dated(url: str, client: Client) -> None:
    """ClickHouse's times of 32 bits end in 2106: what was to be kept for longest went at once."""
    now, wrong = datetime.now(UTC), datetime(2099, 12, 31, tzinfo=UTC)
    logged = {"request_id": "01970000-0000-8000-8000-9b11edf90001", "started_at": wrong, "request_body": "{}"}
    rows: dict[str, dict[str, Any]] = {
        "dead_letters": {"topic": "request.logs.v1", "kafka_partition": 7, "sequence": 1, "recorded_at": now},
        "idempotency_keys": {"workspace": "century", "claimed_at": now},
        "rollup_rows": {"workspace": "century", "period": "day", "dimension": "all", "start": now.replace(hour=0),
                        "feedback_count": 1, "version": 5},
        "feedback_hour_rows": {"workspace": "century", "hour": now},
        "request_log_rows": {"workspace": "century", **logged},
    }  # fmt: skip
    for table, row in rows.items():
        client.insert(f"feedback.{table}", [[*row.values()]], column_names=[*row])
    for days in ("36500", "2500"):
        apply_settings(url, dict.fromkeys(NAMES, days))
        for table in rows:
            client.command(f"OPTIMIZE TABLE feedback.{table} FINAL")
            whose = "kafka_partition = 7" if table == "dead_letters" else "workspace = 'century'"
            found = client.query(f"SELECT * FROM feedback.{table} WHERE {whose}")
            assert len(found.result_rows) == 1, (table, days)
            assert table != "request_log_rows" or "{}" in found.result_rows[0], "its body is there"
        shown = client.query("SELECT feedback_count FROM feedback.rollups WHERE workspace = 'century'").result_rows
        assert shown == [(1,)]
    apply_settings(url, {})


def test_nothing_is_due_where_traces_are_kept_for_longer_than_since_1970(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_796_000_000.0)
    assert _days_ago(36_500) == 0
    assert _days_ago(8) == 1_796_000_000 - 8 * 86_400


@pytest.mark.parametrize("table", ["dead_letters", "erased_records", "expired_records", "lost_records"])
def test_the_base_of_the_next_log_is_above_places_whose_rows_have_gone(url: str, client: Client, table: str) -> None:
    place, columns = ("request.logs.v1", 1), ["topic", "kafka_partition"]
    if table == "lost_records":
        client.insert(
            f"feedback.{table}", [(*place, 70, 80)], column_names=[*columns, "first_sequence", "end_sequence"]
        )
    else:
        client.insert(f"feedback.{table}", [(*place, 79)], column_names=[*columns, "sequence"])
    try:
        assert asyncio.run(wait_for_highest_sequence(url)) == 79
    finally:
        client.command(f"TRUNCATE TABLE feedback.{table}")
