"""What the tables promise by themselves, whoever writes them: on a ClickHouse with all of them and no row."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from tests.pipeline.engines import clickhouse_with_tables


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with (
        clickhouse_with_tables(tmp_path_factory.mktemp("tables") / "clickhouse") as url,
        clickhouse_connect.get_client(dsn=url) as connected,
    ):
        yield connected


def test_every_table_and_column_says_what_it_is(client: Client) -> None:
    silent = client.query("""
        SELECT name FROM system.tables WHERE database = 'feedback' AND comment = '' AND engine != 'MaterializedView'
        UNION ALL
        SELECT concat(table, '.', name) FROM system.columns
        WHERE database = 'feedback' AND comment = '' AND table != 'feedback_into_hours'
    """).result_rows
    assert silent == []


def test_each_table_and_view_has_a_file_of_its_name(client: Client) -> None:
    found = client.query("SELECT name FROM system.tables WHERE database = 'feedback'").result_rows
    recorded = client.query("SELECT name FROM feedback.schema_migrations FINAL").result_rows
    assert {row[0] for row in found} - {"schema_migrations"} <= {row[0] for row in recorded}


def test_a_small_part_is_one_file(client: Client) -> None:
    client.command("INSERT INTO feedback.dead_letters (topic, sequence) VALUES ('t', 1)")
    ((path,),) = client.query("SELECT path FROM system.parts WHERE active AND table = 'dead_letters'").result_rows
    assert [file.name for file in Path(path).iterdir()] == ["data.packed"]


ENTRIES = ['{"event":"create","metadata":{"say":"}]ä\\n"}}', '{"event":"fact","workspace":"w"}', "{}"]


def test_the_entry_of_a_journal_line_is_read_back_as_it_was(client: Client) -> None:
    rows = [
        (number, str(uuid.uuid4()), f'[{number},"01970000-0000-8000-8000-00000000000{number}",{2**47},{entry}]')
        for number, entry in enumerate(ENTRIES)
    ]
    client.insert("feedback.journal", rows, column_names=["trace_hash", "id", "line"])
    found = client.query("SELECT entry FROM feedback.journal ORDER BY trace_hash").result_rows
    assert [row[0] for row in found] == ENTRIES


def test_an_idempotency_key_stays_with_the_call_whose_claim_was_stored_first(client: Client) -> None:
    query = """
        SELECT idempotency_key, argMin(digest, _block_number) FROM feedback.idempotency_keys GROUP BY ALL ORDER BY ALL
    """
    now = datetime.now(UTC)
    columns = ["workspace", "idempotency_key", "digest", "claimed_at"]
    for digest, claimed_at in (("first", now), ("earlier", now - timedelta(hours=1)), ("again", now)):
        client.insert("feedback.idempotency_keys", [("w", "k", digest, claimed_at)], column_names=columns)
    assert client.query(query).result_rows == [("k", "first")]
    client.command("OPTIMIZE TABLE feedback.idempotency_keys FINAL")
    assert client.query(query).result_rows == [("k", "first")]
    assert client.command("SELECT uniqExact(_block_number) FROM feedback.idempotency_keys") == 3


OBJECTS = [
    {}, {"tier": "gold", "_user": "u", "n": 5},
    {"none": None, "yes": True, "list": [1, 2.5, "a"], "in": {"b": {"c": "d"}}},
    {"": "empty", "a.b": "dot", "say": '"quoted" \\ ä\n\x1f', "n": 1.5, "large": 2**64, "small": -1e-7, "_prompt": "p"},
]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "identity", "view"),
    [("request_log_rows", "request_id", "request_logs"), ("feedback_rows", "feedback_id", "feedback")],
)
def test_metadata_by_key_is_what_is_read_from_its_json(client: Client, table: str, identity: str, view: str) -> None:
    rows: list[list[Any]] = [[uuid.UUID(int=n), json.dumps(each)] for n, each in enumerate(OBJECTS)]
    client.insert(f"feedback.{table}", rows, column_names=[identity, "metadata"])
    found = client.query(
        "SELECT metadata_texts, arrayMap(key -> (key, JSONExtractString(metadata, key)), JSONExtractKeys(metadata))"
        f" FROM feedback.{view}"
    ).result_rows
    assert len(found) == len(OBJECTS)
    for texts, pairs in found:
        assert texts == {key: text for key, text in pairs if key not in ("_user", "_prompt")}
