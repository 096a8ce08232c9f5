"""Migrations on a real engine: up, down and up again, failures that say where, and two at once."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from deploy import cli
from deploy.kafka.broker import free_ports
from operations.connections import CommandError
from operations.migrate import MigrationError, migrate, migrations, planned, statements
from operations.retention import POLICIES, applied_days, apply_settings_to_any_version
from tests.pipeline.engines import clickhouse_front


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    (port,) = free_ports(1)
    with clickhouse_front(tmp_path_factory.mktemp("migrate") / "clickhouse", port) as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    """A client of an engine on which nothing has been migrated yet."""
    with clickhouse_connect.get_client(dsn=url) as connected:
        connected.command("DROP DATABASE IF EXISTS feedback")
        yield connected


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two migrations; the second has two statements."""
    files = {
        "0201_fruit.up.sql": "-- Fruit;\nCREATE TABLE IF NOT EXISTS feedback.fruit (name String) ORDER BY name;\n",
        "0201_fruit.down.sql": "DROP TABLE IF EXISTS feedback.fruit;\n",
        "0202_colour.up.sql": "ALTER TABLE feedback.fruit ADD COLUMN IF NOT EXISTS colour String;\n"
        "CREATE VIEW IF NOT EXISTS feedback.red AS\nSELECT * FROM feedback.fruit WHERE colour = 'red';\n",
        "0202_colour.down.sql": "DROP VIEW IF EXISTS feedback.red;\n"
        "ALTER TABLE feedback.fruit DROP COLUMN IF EXISTS colour;\n",
    }
    for name, sql in files.items():
        (tmp_path / name).write_text(sql)
    return tmp_path


def tables(client: Client) -> dict[str, str]:
    """The database's definitions by name, without the record of versions."""
    found = client.query("SELECT name, create_table_query FROM system.tables WHERE database = 'feedback'").result_rows
    return {name: sql for name, sql in found if name != "schema_migrations"}


def applied(client: Client) -> list[Any]:
    rows = client.query("SELECT version FROM feedback.schema_migrations FINAL ORDER BY version").result_rows
    return [row[0] for row in rows]


def test_up_down_and_up_again_lead_to_the_same_tables(url: str, client: Client, folder: Path) -> None:
    assert [str(step) for step in migrate(url, folder=folder)] == ["applied 0201_fruit", "applied 0202_colour"]
    after_up = tables(client)
    assert set(after_up) == {"fruit", "red"}
    assert [str(step) for step in migrate(url, 201, folder)] == ["undone 0202_colour"]
    assert (set(tables(client)), applied(client)) == ({"fruit"}, [201])
    migrate(url, 0, folder)
    assert (tables(client), applied(client)) == ({}, [])
    migrate(url, folder=folder)
    assert (tables(client), applied(client)) == (after_up, [201, 202])


def test_what_is_applied_is_not_applied_again(url: str, client: Client, folder: Path) -> None:
    migrate(url, folder=folder)
    client.command("DROP VIEW feedback.red")
    assert migrate(url, folder=folder) == []
    assert set(tables(client)) == {"fruit"}


def test_a_failing_statement_is_named_with_the_words_of_the_server(url: str, client: Client, folder: Path) -> None:
    colour = folder / "0202_colour.up.sql"
    whole = colour.read_text()
    colour.write_text(whole.replace("SELECT *", "SELECT nonsense"))
    with pytest.raises(MigrationError, match=r"^Migration stopped at 0202_colour\.up\.sql, statement 2: .*nonsense"):
        migrate(url, folder=folder)
    assert applied(client) == [201]
    colour.write_text(whole)
    assert [str(step) for step in migrate(url, folder=folder)] == ["applied 0202_colour"]
    assert set(tables(client)) == {"fruit", "red"}


def test_to_look_at_what_would_be_done_makes_nothing(url: str, client: Client, folder: Path) -> None:
    assert [str(step) for step in planned(url, folder=folder)] == ["applied 0201_fruit", "applied 0202_colour"]
    assert client.command("SELECT count() FROM system.databases WHERE name = 'feedback'") == 0


def test_processes_that_migrate_at_once_leave_what_one_would(url: str, client: Client, folder: Path) -> None:
    with ThreadPoolExecutor(4) as four:
        for outcome in [four.submit(migrate, url, None, folder) for _ in range(4)]:
            outcome.result()
    assert (set(tables(client)), applied(client)) == ({"fruit", "red"}, [201, 202])
    assert migrate(url, folder=folder) == []


def test_the_migrations_that_ship_go_up_down_and_up(url: str, client: Client) -> None:
    migrate(url)
    after_up = tables(client)
    assert "journal" in after_up
    for version in (migrations()[-2].version, 0):
        command = ["migrate", "--to", str(version), "--yes", "--without-kafka", "--clickhouse-url", url]
        assert cli.main(command) == 0, version
    assert tables(client) == {}
    migrate(url)
    assert tables(client) == after_up


def test_requests_written_anew_are_those_of_before(url: str, client: Client) -> None:
    """Of many months, one stored twice; up, down and, as after a step that was cut off, up twice."""
    migrate(url, 127)
    client.command("""
        INSERT INTO feedback.request_log_rows
            (workspace, request_id, trace_id, started_at, status, cost, _user, metadata, request_body, sequence)
        SELECT 'w', toUUID(concat('01970000-0000-8000-8000-', leftPad(toString(number % 4999), 12, '0'))),
            concat('trace-', toString(number % 7)), toDateTime64(1500000000 + number % 4999 * 60000, 3, 'UTC'), 200,
            number % 4999 = 5 ? NULL : 0.25, concat('user-', toString(number % 11)), '{"tier":"gold","_user":"u"}',
            '{"model":"m"}', 1
        FROM numbers(5000) SETTINGS max_partitions_per_insert_block = 0
    """)
    rows = (
        "SELECT count(), sum(cityHash64(*, metadata_texts)), sum(cost), any(metadata_texts) FROM feedback.request_logs"
    )
    before = client.query(rows).result_rows
    assert before[0][0] == 4999
    assert before[0][3] == {"tier": "gold"}
    for version in (128, 127, 128):
        migrate(url, version)
        assert client.query(rows).result_rows == before
    client.command("INSERT INTO feedback.schema_migrations (version, name, is_undone) VALUES (128, 'a_test', 1)")
    migrate(url, 128)
    assert client.query(rows).result_rows == before


@pytest.mark.parametrize("version", [127, 128])
def test_a_migration_to_a_version_leaves_retention_in_force(
    url: str, client: Client, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Migration 128 and its way back write a table anew, whose bodies would then have been kept for ever."""
    monkeypatch.setenv("FEEDBACK_KEEP_REQUEST_LOGS_DAYS", "30")
    migrate(url, 127 if version == 128 else None)
    apply_settings_to_any_version(url, os.environ)
    command = ["migrate", "--to", str(version), "--yes", "--without-kafka", "--clickhouse-url", url]
    assert cli.main(command) == 0
    bodies = next(each for each in POLICIES if each.table == "request_log_rows")
    assert applied_days(client, bodies) == 30


def test_the_policy_of_one_look_is_that_of_three(url: str, client: Client) -> None:
    moments = (
        "SELECT toUnixTimestamp(rollups_since), dateDiff('second', orphaned_before, now64(3)) FROM feedback.policy"
    )

    def found(version: int) -> tuple[int, int]:
        migrate(url, version)
        ((since, waiting),) = client.query(moments).result_rows
        return since, round(waiting / 3600)

    migrate(url)
    for settings in (
        {},
        {"orphan_after_hours": "24"},
        {"keep_rollups_days": "30", "last_audit": "{}"},
        {"rollups_gone_before": "1900000000", "orphan_after_hours": "1", "keep_rollups_days": "31"},
        {"keep_rollups_days": "nonsense"},
    ):
        for name, value in settings.items():
            client.insert("feedback.settings", [(name, value)], column_names=["name", "value"])
        assert found(129) == found(128), settings
    assert found(129) == (1_900_000_000, 1)


@pytest.mark.parametrize(("table", "identity", "time"), [
    ("feedback_rows", "feedback_id", "created_at"), ("request_log_rows", "request_id", "started_at")
])  # fmt: skip
def test_what_was_said_before_is_found_by_the_index_of_pairs(
    url: str, client: Client, table: str, identity: str, time: str
) -> None:
    """Up, down and, as after a step that was cut off, up twice; rows that are removed are not found."""
    before = max(each.version for each in migrations() if each.version < 132)
    migrate(url, before)
    client.command(f"""
        INSERT INTO feedback.{table} (workspace, {identity}, trace_id, {time}, metadata)
        SELECT 'w', generateUUIDv4(number), toString(number), toDateTime64(1700000000 + number, 3, 'UTC'),
            concat('{{"n":', toString(number % 5000), ',"plan":"', ['free', 'paid'][1 + number % 2], '"}}')
        FROM numbers(20000)
    """)

    def found(key: str, text: str) -> tuple[int, int]:
        pairs = (
            "arrayMap((key, text) -> concat(key, '\\x1F', text), mapKeys(metadata_texts), mapValues(metadata_texts))"
        )
        result = client.query(
            f"SELECT count() FROM feedback.{table} FINAL WHERE has({pairs}, '{key}\\x1F{text}')",
            settings={"use_query_condition_cache": 0},
        )
        return result.result_rows[0][0], int(result.summary["read_bytes"])

    for version in (before, 132, before, 132):
        migrate(url, version)
        (rare, _), (common, read) = found("n", "77"), found("plan", "free")
        assert (rare, common) == (4, 10_000)
        assert (read < 500_000) == (version == 132), "of metadata, nothing"
    client.command("INSERT INTO feedback.schema_migrations (version, name, is_undone) VALUES (132, 'a_test', 1)")
    migrate(url, 132)
    client.command(f"ALTER TABLE feedback.{table} DELETE WHERE trace_id = '77'", settings={"mutations_sync": 1})
    client.command(f"DELETE FROM feedback.{table} WHERE trace_id = '5077'")
    assert found("n", "77")[0] == 2
    assert found("plan", "paid")[0] == 9_998


@pytest.mark.parametrize("files", [1, 13, 25])
def test_a_new_database_whose_making_was_cut_off_is_made_whole(url: str, client: Client, files: int) -> None:
    migrate(url)
    whole = tables(client)
    client.command("DROP DATABASE feedback SYNC")
    client.command("CREATE DATABASE feedback")
    for each in migrations()[:files]:
        for statement in statements(each.up.read_text()):
            client.command(statement)
    migrate(url)
    assert tables(client) == whole
    assert applied(client) == [each.version for each in migrations()]


def test_an_engine_that_is_not_there_is_named_without_its_password(folder: Path) -> None:
    (port,) = free_ports(1)
    with pytest.raises(CommandError) as refusal:
        migrate(f"http://me:secret@127.0.0.1:{port}", folder=folder)
    assert str(refusal.value) == f"ClickHouse at http://127.0.0.1:{port} does not answer: is it running there?"
