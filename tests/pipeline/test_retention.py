"""Tables keep their rows as long as the settings say, and a setting that would do harm is refused in a sentence."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from deploy.kafka.broker import free_ports
from deploy.migrate import migrate
from deploy.retention import TABLES, RetentionError, apply_settings, days_in_force
from tests.pipeline.engines import clickhouse_front

SETTINGS = {each.setting for each in TABLES}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A ClickHouse of its own: what is set here must drop nobody else's rows."""
    (port,) = free_ports(1)
    with clickhouse_front(tmp_path_factory.mktemp("retention") / "clickhouse", port) as address:
        migrate(address)
        apply_settings(address, {})
        yield address


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    found = clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False)
    yield found
    found.close()


def days_of_all(client: Client) -> dict[str, int | None]:
    return {each.table: days_in_force(client, each.table) for each in TABLES}


@pytest.mark.parametrize("setting", sorted(SETTINGS))
def test_a_setting_rules_its_tables_and_no_other_and_is_taken_back(url: str, client: Client, setting: str) -> None:
    before = days_of_all(client)
    # Rollups cannot go before what they are made of.
    needed = {"FEEDBACK_KEEP_FEEDBACK_DAYS": "40"} if setting == "FEEDBACK_KEEP_ROLLUPS_DAYS" else {}
    told = apply_settings(url, {setting: "40", **needed})
    ruled = {each.table for each in TABLES if each.setting in (setting, *needed)}
    assert sorted(told) == sorted(f"{table} keeps its rows for 40 days" for table in ruled)
    assert days_of_all(client) == before | dict.fromkeys(ruled, 40)
    assert apply_settings(url, {setting: "40", **needed}) == []
    assert sorted(apply_settings(url, {setting: "0"})) == sorted(f"{table} keeps its rows for ever" for table in ruled)
    apply_settings(url, {})
    assert days_of_all(client) == before == {each.table: each.default_days for each in TABLES}


@pytest.mark.parametrize("setting", sorted(SETTINGS))
@pytest.mark.parametrize("days", ["-1", "1.5", "a week", "36501"])
def test_a_setting_that_is_no_number_of_days_is_refused(url: str, setting: str, days: str) -> None:
    with pytest.raises(RetentionError, match=f"^{setting} must be [18] to 36500 days, or 0 .* got {days}"):
        apply_settings(url, {setting: days})


@pytest.mark.parametrize("setting", sorted(each.setting for each in TABLES if each.least_days == 8))
def test_what_a_replay_rests_on_outlives_the_records_of_the_input_topics(url: str, setting: str) -> None:
    with pytest.raises(RetentionError, match=f"^{setting} must be 8 to"):
        apply_settings(url, {setting: "7"})


@pytest.mark.parametrize("feedback", ["", "31"])
def test_rollups_are_not_dropped_before_the_feedback_they_would_be_computed_from_again(url: str, feedback: str) -> None:
    wanted = {"FEEDBACK_KEEP_ROLLUPS_DAYS": "30", "FEEDBACK_KEEP_FEEDBACK_DAYS": feedback}
    with pytest.raises(RetentionError, match=r"^FEEDBACK_KEEP_ROLLUPS_DAYS must be at least FEEDBACK_KEEP_FEEDBACK"):
        apply_settings(url, wanted)


def test_rows_that_are_due_are_dropped_and_younger_ones_stay(url: str, client: Client) -> None:
    now = datetime.now(UTC)
    client.insert(
        "feedback.request_log_rows",
        [
            ("ttl", "01970000-0000-8000-8000-9b11edf90000", f"{days} days old", now - timedelta(days=days))
            for days in (60, 20)
        ],
        column_names=["workspace", "request_id", "trace_id", "started_at"],
    )
    kept = "SELECT trace_id FROM feedback.request_log_rows WHERE workspace = 'ttl' ORDER BY trace_id"
    assert client.query(kept).result_columns == [["20 days old", "60 days old"]]
    apply_settings(url, {"FEEDBACK_KEEP_REQUEST_LOGS_DAYS": "30"})
    client.command("OPTIMIZE TABLE feedback.request_log_rows FINAL")
    assert client.query(kept).result_columns == [["20 days old"]]
    assert apply_settings(url, {}) == ["request_log_rows keeps its rows for ever"]
