"""Migrations on a real engine: up, down and up again, failures that say where, and two at once."""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from deploy.kafka.broker import free_ports
from operations.connections import CommandError
from operations.migrate import FOLDER, MigrationError, migrate, migrations, statements
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
        "0001_fruit.up.sql": "-- Fruit;\nCREATE TABLE IF NOT EXISTS feedback.fruit (name String) ORDER BY name;\n",
        "0001_fruit.down.sql": "DROP TABLE IF EXISTS feedback.fruit;\n",
        "0002_colour.up.sql": "ALTER TABLE feedback.fruit ADD COLUMN IF NOT EXISTS colour String;\n"
        "CREATE VIEW IF NOT EXISTS feedback.red AS\nSELECT * FROM feedback.fruit WHERE colour = 'red';\n",
        "0002_colour.down.sql": "DROP VIEW IF EXISTS feedback.red;\n"
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
    assert [str(step) for step in migrate(url, folder=folder)] == ["applied 0001_fruit", "applied 0002_colour"]
    after_up = tables(client)
    assert set(after_up) == {"fruit", "red"}
    assert [str(step) for step in migrate(url, 1, folder)] == ["undone 0002_colour"]
    assert (set(tables(client)), applied(client)) == ({"fruit"}, [1])
    migrate(url, 0, folder)
    assert (tables(client), applied(client)) == ({}, [])
    migrate(url, folder=folder)
    assert (tables(client), applied(client)) == (after_up, [1, 2])


def test_what_is_applied_is_not_applied_again(url: str, client: Client, folder: Path) -> None:
    migrate(url, folder=folder)
    client.command("DROP VIEW feedback.red")
    assert migrate(url, folder=folder) == []
    assert set(tables(client)) == {"fruit"}


def test_a_failing_statement_is_named_with_the_words_of_the_server(url: str, client: Client, folder: Path) -> None:
    colour = folder / "0002_colour.up.sql"
    whole = colour.read_text()
    colour.write_text(whole.replace("SELECT *", "SELECT nonsense"))
    with pytest.raises(MigrationError, match=r"^Migration stopped at 0002_colour\.up\.sql, statement 2: .*nonsense"):
        migrate(url, folder=folder)
    assert applied(client) == [1]
    colour.write_text(whole)
    assert [str(step) for step in migrate(url, folder=folder)] == ["applied 0002_colour"]
    assert set(tables(client)) == {"fruit", "red"}


def test_processes_that_migrate_at_once_leave_what_one_would(url: str, client: Client, folder: Path) -> None:
    with ThreadPoolExecutor(4) as four:
        for outcome in [four.submit(migrate, url, None, folder) for _ in range(4)]:
            outcome.result()
    assert (set(tables(client)), applied(client)) == ({"fruit", "red"}, [1, 2])
    assert migrate(url, folder=folder) == []


def test_the_migrations_that_ship_go_up_down_and_up(url: str, client: Client) -> None:
    migrate(url)
    after_up = tables(client)
    assert "journal" in after_up
    for version in [*(each.version for each in reversed(migrations()[:-1])), 0]:
        migrate(url, version)
    assert tables(client) == {}
    migrate(url)
    assert tables(client) == after_up


ENTRIES = [
    (7, "feedback", "01970000-0000-8000-8000-000000070001", 3, 0, '{"event":"create","metadata":{"say":"}]ä\\n"}}'),
    (7, "request", "01970000-0000-8000-8000-000000070002", 2**47, 0, '{"event":"fact","workspace":"w"}'),
    (4_294_967_295, "feedback", "01970000-0000-8000-8000-ffffffff0003", 0, 7, "{}"),
]
COLUMNS = ["trace_hash", "kind", "id", "sequence", "kafka_partition", "entry"]


def entries(client: Client, table: str) -> list[Any]:
    query = f"SELECT {', '.join(COLUMNS)} FROM feedback.{table} FINAL ORDER BY trace_hash, kind"
    return [(*row[:2], str(row[2]), *row[3:]) for row in client.query(query).result_rows]


def cut_off(client: Client, file: Path, done: int) -> None:
    """Carry out so many statements of a migration."""
    for statement in statements(file.read_text())[:done]:
        client.command(statement)


@pytest.mark.parametrize("done", range(6))
def test_the_journal_becomes_one_of_lines_and_back_wherever_that_was_cut_off(
    url: str, client: Client, done: int
) -> None:
    file = FOLDER / "0018_journal_of_lines.up.sql"

    migrate(url, 17)
    client.insert("feedback.trace_journal", ENTRIES, column_names=COLUMNS)
    cut_off(client, file, done)
    migrate(url)
    assert entries(client, "journal") == ENTRIES
    lines = [
        row[0] for row in client.query("SELECT line FROM feedback.journal FINAL ORDER BY trace_hash, kind").result_rows
    ]
    assert [json.loads(line) for line in lines] == [
        [trace_hash, identity, sequence, json.loads(entry)] for trace_hash, _, identity, sequence, _, entry in ENTRIES
    ]
    assert "trace_journal" not in tables(client)
    migrate(url, 18)
    cut_off(client, file.with_name(file.name.replace("up", "down")), done)
    migrate(url, 17)
    assert entries(client, "trace_journal") == ENTRIES
    assert "journal" not in tables(client)


@pytest.mark.parametrize("done", range(5))
def test_a_key_stays_with_its_call_when_claims_are_numbered_and_back_wherever_that_was_cut_off(
    url: str, client: Client, done: int
) -> None:
    file = FOLDER / "0019_first_claims.up.sql"

    def owners(table: str, first_by: str) -> Any:
        query = f"SELECT idempotency_key, argMin(digest, {first_by}) FROM feedback.{table} GROUP BY ALL ORDER BY ALL"
        return client.query(query).result_rows

    now = datetime.now(UTC)
    claims = [("w", "k", "late", now), ("w", "k", "early", now - timedelta(seconds=1)), ("w", "l", "only", now)]
    expected = [("k", "early"), ("l", "only")]
    migrate(url, 18)
    client.insert("feedback.idempotency_claims", claims)
    cut_off(client, file, done)
    migrate(url)
    assert owners("idempotency_keys", "_block_number") == expected
    client.insert("feedback.idempotency_keys", [("w", "k", "a", now - timedelta(hours=1))])
    assert owners("idempotency_keys", "_block_number") == expected
    client.command("OPTIMIZE TABLE feedback.idempotency_keys FINAL")
    assert owners("idempotency_keys", "_block_number") == expected
    assert "idempotency_claims" not in tables(client)
    cut_off(client, file.with_name(file.name.replace("up", "down")), done)
    migrate(url, 18)
    assert owners("idempotency_claims", "(claimed_at, digest)") == expected
    assert "idempotency_keys" not in tables(client)


@pytest.mark.parametrize("done", range(6))
def test_hours_know_when_what_stands_was_created_and_forget_it_wherever_that_was_cut_off(
    url: str, client: Client, done: int
) -> None:
    file = FOLDER / "0027_rollups_of_all_numbers.up.sql"
    at = datetime(2026, 11, 1, 10, 20, 30, 456000, tzinfo=UTC)
    row = {"workspace": "w", "created_at": at, "updated_at": at, "models": ["a", "b"], "trace_id": "t", "weight": 0.5}

    def store(feedback_id: str, **more: Any) -> None:
        found = row | {"feedback_id": feedback_id, "version": 1} | more
        client.insert("feedback.feedback_rows", [list(found.values())], column_names=list(found))

    def copies(columns: str) -> list[Any]:
        query = f"SELECT feedback_id, model, version, weight, {columns} FROM feedback.feedback_hour_rows FINAL"
        return [(str(first), *rest) for first, *rest in client.query(f"{query} ORDER BY ALL").result_rows]

    stays, edited, late = (f"01970000-0000-8000-8000-00000000000{n}" for n in (1, 2, 3))
    migrate(url, 26)
    store(stays)
    store(edited)
    store(edited, version=2, weight=0.25)
    before = copies("1")
    cut_off(client, file, done)
    migrate(url)
    assert copies("1") == before
    store(late)
    assert [time.replace(tzinfo=UTC) for *_, time in copies("created_at")] == [at] * 6
    before = copies("1")
    migrate(url, 27)
    cut_off(client, file.with_name(file.name.replace(".up.", ".down.")), done)
    migrate(url, 26)
    store(stays)
    assert copies("1") == before
    migrate(url)


OBJECTS = [
    {}, {"tier": "gold", "_user": "u", "n": 5},
    {"none": None, "yes": True, "list": [1, 2.5, "a"], "in": {"b": {"c": "d"}}},
    {"": "empty", "a.b": "dot", "say": '"quoted" \\ ä\n\x1f', "n": 1.5, "large": 2**64, "small": -1e-7, "_prompt": "p"},
]  # fmt: skip


@pytest.mark.parametrize("done", range(10))
def test_metadata_has_its_texts_by_key_and_is_without_them_again_wherever_that_was_cut_off(
    url: str, client: Client, done: int
) -> None:
    file = FOLDER / "0028_metadata_by_key.up.sql"
    tables = {"request_log_rows": ("request_id", "request_logs"), "feedback_rows": ("feedback_id", "feedback")}

    def store(of: int) -> None:
        rows = [[uuid.UUID(int=of * 10 + n), json.dumps(each)] for n, each in enumerate(OBJECTS)]
        for table, (identity, _) in tables.items():
            client.insert(f"feedback.{table}", rows, column_names=[identity, "metadata"])

    migrate(url, 27)
    store(1)
    cut_off(client, file, done)
    migrate(url)
    store(2)
    for _, view in tables.values():
        found = client.query(
            "SELECT metadata, metadata_texts, arrayMap(key -> (key, JSONExtractString(metadata, key)),"
            f" JSONExtractKeys(metadata)) FROM feedback.{view}"
        ).result_rows
        assert len(found) == 2 * len(OBJECTS)
        for _, texts, pairs in found:
            assert texts == {key: text for key, text in pairs if key not in ("_user", "_prompt")}
    migrate(url, 28)
    cut_off(client, file.with_name(file.name.replace(".up.", ".down.")), done)
    migrate(url, 27)
    for _, view in tables.values():
        assert client.command(f"SELECT count() FROM feedback.{view}") == 2 * len(OBJECTS)
    migrate(url)


def test_an_engine_that_is_not_there_is_named_without_its_password(folder: Path) -> None:
    (port,) = free_ports(1)
    with pytest.raises(CommandError) as refusal:
        migrate(f"http://me:secret@127.0.0.1:{port}", folder=folder)
    assert str(refusal.value) == f"ClickHouse at http://127.0.0.1:{port} does not answer: is it running there?"


def test_a_small_part_is_one_file(url: str, client: Client) -> None:
    migrate(url)
    client.command("INSERT INTO feedback.dead_letters (topic, sequence) VALUES ('t', 1)")
    ((path,),) = client.query("SELECT path FROM system.parts WHERE active AND table = 'dead_letters'").result_rows
    assert [file.name for file in Path(path).iterdir()] == ["data.packed"]
