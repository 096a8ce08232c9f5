"""A ClickHouse with the tables of the 28 old migrations is taken over as it stands (operations/carry_schema.py).

`schema_0028.sql` is what these migrations left, frozen from the last version that had them.
"""

import asyncio
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
import requests
from clickhouse_connect.driver.client import Client

from deploy import cli
from operations.carry_schema import OLD, OldTablesError
from operations.migrate import migrate, migrations, statements
from tests.pipeline.engines import Engines, embedded, until
from tests.pipeline.running import Pipeline, roll_up

FROZEN = Path(__file__).with_name("schema_0028.sql")
FILES = [each.version for each in migrations()]
DAYS = "first_request_day, last_request_day"
DAYS_OF_TRACES = f"SELECT trace_id, {DAYS} FROM feedback.trace_aggregate_rows FINAL ORDER BY trace_id"
LAST = 126  # of the files that make what the old migrations left
_COMMENT = re.compile(r" COMMENT '(?:[^'\\]|\\.|'')*'")
_FACTS = {
    "tables": """
        SELECT name, engine_full, partition_key, sorting_key, primary_key, sampling_key, create_table_query
        FROM system.tables WHERE database = 'feedback' AND name != 'schema_migrations' ORDER BY name
    """,
    "columns": """
        SELECT table, position, name, type, default_kind, default_expression, compression_codec,
            is_in_partition_key, is_in_sorting_key, is_in_primary_key
        FROM system.columns WHERE database = 'feedback' ORDER BY table, position
    """,
    "indices": """
        SELECT table, name, type_full, expr, granularity FROM system.data_skipping_indices
        WHERE database = 'feedback' ORDER BY ALL
    """,
    "projections": "SELECT * FROM system.projections WHERE database = 'feedback' ORDER BY ALL",
}


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    with embedded(tmp_path_factory.mktemp("carried")) as running:
        running.prepare()
        yield running


@pytest.fixture
def client(engines: Engines) -> Iterator[Client]:
    """A client of an engine with the old tables."""
    with clickhouse_connect.get_client(dsn=engines.clickhouse) as connected:
        connected.command("DROP DATABASE feedback SYNC")
        for statement in statements(FROZEN.read_text()):
            connected.command(statement)
        yield connected


def facts(client: Client) -> dict[str, list[Any]]:
    """All that makes the tables and views, but for the comments."""
    return {
        name: [
            [_COMMENT.sub("", value) if isinstance(value, str) else value for value in row]
            for row in client.query(query).result_rows
        ]
        for name, query in _FACTS.items()
    }


def in_force(client: Client) -> list[int]:
    found = client.query("SELECT version FROM feedback.schema_migrations FINAL ORDER BY version").result_rows
    return [row[0] for row in found]


def record(client: Client, versions: list[int], *, is_undone: bool) -> None:
    rows = [(version, "a_test", int(is_undone)) for version in versions]
    client.insert("feedback.schema_migrations", rows, column_names=["version", "name", "is_undone"])


def test_the_files_make_exactly_what_the_old_migrations_left(engines: Engines, client: Client) -> None:
    frozen = facts(client)
    assert len(frozen["tables"]) == FILES.index(LAST) + 1
    client.command("DROP DATABASE feedback SYNC")
    migrate(engines.clickhouse, LAST)
    assert facts(client) == frozen


def test_old_tables_stay_as_they_are_and_go_down_and_up_like_others(engines: Engines, client: Client) -> None:
    frozen = facts(client)
    assert len(migrate(engines.clickhouse)) == len(FILES)
    migrate(engines.clickhouse, LAST)
    assert facts(client) == frozen
    migrate(engines.clickhouse)
    assert in_force(client) == [*sorted(OLD), *FILES], "so that an older program does not migrate them again"
    assert migrate(engines.clickhouse) == []
    migrate(engines.clickhouse, 0)
    assert client.query(_FACTS["tables"]).result_rows == []
    migrate(engines.clickhouse)
    assert "journal" in {row[0] for row in client.query(_FACTS["tables"]).result_rows}


@pytest.mark.parametrize(("undone", "first"), [(range(13, 29), 13), ([5], 5), (range(2, 29), 2)])
def test_tables_of_an_older_version_still_are_refused_with_what_to_do(
    engines: Engines, client: Client, capsys: pytest.CaptureFixture[str], undone: range, first: int
) -> None:
    record(client, list(undone), is_undone=True)
    before = in_force(client)
    assert cli.main(["migrate", "--clickhouse-url", engines.clickhouse]) == 1
    told = capsys.readouterr().err
    assert (
        f"(without its migration {first} of 28): run `feedback migrate` of the last version that has migration 28"
        in told
    )
    assert in_force(client) == before
    assert cli.main(["orphans", "--clickhouse-url", engines.clickhouse]) == 1
    assert "run `feedback migrate` of this version" in capsys.readouterr().err


def test_a_version_to_go_to_waits_until_the_tables_are_taken_over(engines: Engines, client: Client) -> None:
    with pytest.raises(OldTablesError, match=r"run `feedback migrate` without --to\.$"):
        migrate(engines.clickhouse, 0)
    assert in_force(client) == sorted(OLD)


def rows_of(client: Client) -> dict[str, Any]:
    """How many rows each table has, and a sum over all that they say, but for what the old ones cannot say."""
    tables = client.query("SELECT name FROM system.tables WHERE database = 'feedback' AND engine LIKE '%MergeTree'")
    return {
        name: client.query(f"SELECT count(), sum(cityHash64(* EXCEPT ({DAYS}))) FROM feedback.{name}").result_rows
        for (name,) in tables.result_rows
        if name not in ("schema_migrations", "request_day_sums")
    }


def is_rolled_up(client: Client) -> bool:
    """Whether the rollups of hours know all feedback as it stands."""
    hours = """
        SELECT sum(feedback_count), sum(joined_count), sum(value_weight_sum) FROM feedback.rollups
        WHERE period = 'hour' AND dimension = 'all'
    """
    rows = "SELECT count(), countIf(join_state = 'joined'), sum(value * weight) FROM feedback.feedback"
    return bool(client.query(hours).result_rows == client.query(rows).result_rows)


def test_what_old_tables_hold_is_read_and_written_on(engines: Engines, client: Client, tmp_path: Path) -> None:
    stored = ["--clickhouse-url", engines.clickhouse]
    record(client, FILES, is_undone=False)
    # A worker of this version stores them.
    client.command("ALTER TABLE feedback.trace_aggregate_rows ADD COLUMN first_request_day Date")
    client.command("ALTER TABLE feedback.trace_aggregate_rows ADD COLUMN last_request_day Date")
    dimensions = "'all' = 1, 'organisation' = 2, 'prompt' = 3, 'user' = 4, 'model' = 5, 'prompt_model' = 6"
    client.command(f"ALTER TABLE feedback.rollup_rows MODIFY COLUMN dimension Enum8({dimensions})")
    with Pipeline(engines, tmp_path) as pipeline:
        traces = [f"old-{uuid.uuid4()}" for _ in range(30)]
        ids = [pipeline.feedback(trace, n % 11, 0.5, _user="u", tier="gold") for n, trace in enumerate(traces)]
        for trace in traces[:20]:
            pipeline.request(trace, "model-a")
        requests.delete(f"{pipeline.url}/v1/feedback/{ids[5]}", timeout=30).raise_for_status()
        until(pipeline.is_settled, "all is stored")
        asyncio.run(roll_up(engines.clickhouse))
        assert is_rolled_up(client)
        pipeline.workers[0].stop()
        days = client.query(DAYS_OF_TRACES).result_rows
        record(client, FILES, is_undone=True)
        client.command("ALTER TABLE feedback.trace_aggregate_rows DROP COLUMN first_request_day")
        client.command("ALTER TABLE feedback.trace_aggregate_rows DROP COLUMN last_request_day")
        # Now it is what the old version would have left.
        for table in ("feedback_rows", "feedback_hour_rows", "journal", "request_log_rows", "trace_aggregate_rows"):
            client.command(f"OPTIMIZE TABLE feedback.{table} FINAL")
        before = rows_of(client)

        assert cli.main(["migrate", *stored]) == 0
        assert rows_of(client) == before
        assert client.query(DAYS_OF_TRACES).result_rows == days
        assert in_force(client) == [*sorted(OLD), *FILES]
        assert pipeline.stored(ids[0])["metadata_texts"] == {"tier": "gold"}

        pipeline.add_worker()
        requests.put(f"{pipeline.url}/v1/feedback/{ids[1]}", json={"value": -7}, timeout=30).raise_for_status()
        requests.delete(f"{pipeline.url}/v1/feedback/{ids[2]}", timeout=30).raise_for_status()
        pipeline.request(traces[25], "model-late")
        new = pipeline.feedback(traces[0], 9, 0.25)
        until(pipeline.is_settled, "all is stored")
        asyncio.run(roll_up(engines.clickhouse))
        assert is_rolled_up(client)
        assert pipeline.stored(ids[1])["value"] == -7
        assert pipeline.stored(ids[2]) == {}
        assert pipeline.stored(ids[25])["models"] == ["model-late"]
        assert pipeline.stored(new)["models"] == ["model-a"]
        assert pipeline.aggregate(traces[0])["feedback_count"] == 2
        assert cli.main(["audit", *stored, "--bootstrap", engines.kafka]) == 0
        assert cli.main(["reconcile", "--settle", "0", *stored]) == 0
