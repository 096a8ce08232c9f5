"""Whatever is damaged in rows is put right, whatever the journal has lost makes nothing wrong; of random histories."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from operations.progress import Progress
from operations.reconcile.differences import RowDifference, Scope
from operations.reconcile.reconcile import reconcile
from operations.reconcile.verdict import UNKNOWN
from tests.pipeline.engines import clickhouse_with_tables
from tests.pipeline.running import roll_up
from tests.pipeline.stream_workers.stored_histories import SETTINGS, store_histories
from tests.tries import TIMES

VisibleRows = dict[str, list[Sequence[Any]]]

SHOWN = {
    "feedback": "feedback_id",
    "trace_aggregates": "workspace, trace_id",
    "rollups": "workspace, period, dimension, start, environment, key",
    "request_logs": "workspace, request_id",
}
# Kinds of copies of a row under another content, place or version.
COPIES = {
    "of another user and value": "'x' AS _user, toInt8((value + 12) % 21 - 10) AS value",
    "of another value": "toInt8((value + 12) % 21 - 10) AS value",
    "of another time": "updated_at + 1 AS updated_at, 'x' AS metadata",
    "that is deleted": "toUInt8(1 - is_deleted) AS is_deleted",
    "of other models": "['x'] AS models, 'joined' AS join_state",
    "under an older version": "version - 1 AS version, toInt8(9) AS value",
    "of a request more": "version + 1 AS version, toInt8(9) AS value",
    "of the next event": "version + 65536 AS version, toInt8(9) AS value, 'x' AS _prompt",
    "of a far event": "version + 65536000 AS version, toInt8(9) AS value",
    "at another user's place": "'x' AS home_user",
    "in another environment": "'x' AS home_environment, toInt8(9) AS value",
    "in the next hour": "created_at + 3600 AS created_at",
    "in another month": "created_at - 86400 * 40 AS created_at, version + 65536 AS version",
    "at another place in the past": "'x' AS home_prompt, version - 65536 AS version",
}
TRACES = """
SELECT workspace, trace_id, toString(id), (any(kafka_partition), newest + 1), any(trace_hash)
FROM (
    SELECT workspace, trace_id, min(feedback_id) AS id,
        argMin(bitShiftRight(version, 16), (feedback_id, -version)) AS newest
    FROM feedback.feedback_rows GROUP BY workspace, trace_id
) AS rows
INNER JOIN feedback.journal AS entries ON entries.id = rows.id AND entries.kind = 'feedback'
GROUP BY workspace, trace_id, id, newest ORDER BY workspace, trace_id
"""
"""Of each trace a feedback, the place in the log right behind its last event, and the hash of the trace."""
AGGREGATE_COPIES = {
    "of other numbers": "feedback_count + 1 AS feedback_count",
    "of another last value": "toInt8(9) AS value_last, toInt8(9) AS value_max",
    "of another day": "toDate(5) AS first_request_day",
    "that is older": "version - 65536 AS version, feedback_count + 1 AS feedback_count",
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A ClickHouse of its own with random histories of several workspaces, and their rollups."""
    with clickhouse_with_tables(tmp_path_factory.mktemp("damaged") / "clickhouse") as url:
        with clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False) as client:
            store_histories(client, seed=7, workspaces=4, traces=40, events=180)
            client.command("CREATE TABLE feedback.journal_kept AS feedback.journal")
            client.command("INSERT INTO feedback.journal_kept SELECT * FROM feedback.journal")
        asyncio.run(roll_up(url))
        assert compared(url) == []
        yield url


@pytest.fixture(scope="module")
def before(engine: str) -> VisibleRows:
    """All that stands before anything is damaged, and after each test."""
    with clickhouse_connect.get_client(dsn=engine) as client:
        return visible_rows(client)


@pytest.fixture
def client(engine: str) -> Iterator[Client]:
    """Its journal is whole again in the end."""
    with clickhouse_connect.get_client(dsn=engine, autogenerate_session_id=False) as client:
        yield client
        client.command("INSERT INTO feedback.journal SELECT * FROM feedback.journal_kept")


def compared(url: str, *, repair: bool = False, remove: bool = False) -> list[RowDifference]:
    return reconcile(url, Scope(), repair=repair, remove=remove, settle_s=0, progress=Progress())


def visible_rows(client: Client) -> VisibleRows:
    """All that stands, as everybody reads it, but for versions: a row that is written again may count more requests."""
    return {
        name: sorted(client.query(f"SELECT * EXCEPT version FROM feedback.{name} ORDER BY {key}").result_rows, key=str)
        for name, key in SHOWN.items()
    }


def copy(client: Client, table: str, condition: str, replaced: str) -> None:
    client.command(
        f"INSERT INTO feedback.{table} SELECT * REPLACE ({replaced}) FROM feedback.{table}"
        f" WHERE {condition} ORDER BY version DESC LIMIT 1",
        settings=SETTINGS,
    )


def test_copies_of_rows_are_put_right_at_once_and_then_nothing_differs(
    client: Client, engine: str, before: VisibleRows
) -> None:
    traces = client.query(TRACES).result_rows
    places = client.query("SELECT kafka_partition, sequence, trace_hash FROM feedback.journal WHERE kind = 'feedback'")
    trace_at = {(partition, sequence): trace_hash for partition, sequence, trace_hash in places.result_rows}
    random.Random(1).shuffle(traces := list(traces))
    damages = [("feedback_rows", each) for each in COPIES.values()]
    damages += [("trace_aggregate_rows", each) for each in AGGREGATE_COPIES.values()]
    for number, (workspace, trace_id, feedback_id, next_place, trace_hash) in enumerate(traces):
        table, replaced = damages[number % len(damages)]
        if "version + 65536 AS" in replaced and trace_at.get(tuple(next_place), trace_hash) == trace_hash:
            continue  # the row may be of an event that the journal has lost, so it is left alone
        where = f"feedback_id = '{feedback_id}'" if table == "feedback_rows" else f"trace_id = '{trace_id}'"
        copy(client, table, f"workspace = '{workspace}' AND {where}", replaced)
    assert len(traces) > 2 * len(damages)
    assert visible_rows(client) != before
    found = compared(engine, repair=True)
    assert sum(each.number for each in found) > len(damages)
    assert [each.what for each in found if UNKNOWN in each.what] == []
    assert [str(each) for each in compared(engine)] == []
    assert visible_rows(client) == before


def test_copies_of_requests_rollups_and_hours_are_put_right_whatever_stands_beside_them(
    client: Client, engine: str, before: VisibleRows
) -> None:
    ids = [
        row[0] for row in client.query("SELECT request_id FROM feedback.request_logs ORDER BY request_id").result_rows
    ]
    facts = [
        "'x' AS model",
        "'x' AS _user, 'x' AS provider",
        "'x' AS _environment",
        "'x' AS _prompt, '' AS _organisation",
    ]

    def damage_requests(begin: int) -> None:
        for replaced, request_id in zip(facts, ids[begin:], strict=False):
            client.command(
                f"INSERT INTO feedback.request_log_rows SELECT * REPLACE ({replaced}) FROM feedback.request_log_rows"
                f" WHERE request_id = '{request_id}' LIMIT 1",
                settings=SETTINGS,
            )

    damage_requests(0)
    # A merge leaves of each of these the wrong row alone.
    client.command("OPTIMIZE TABLE feedback.request_log_rows FINAL")
    damage_requests(len(facts))
    for period, seconds in (("hour", 1800), ("day", 3600), ("day", 1)):
        moved = f"start + {seconds} AS start, feedback_count + 1 AS feedback_count"
        copy(client, "rollup_rows", f"period = '{period}'", moved)
    copy(client, "feedback_hour_rows", "1", "hour + 1800 AS hour")
    assert visible_rows(client) != before
    found = {each.what for each in compared(engine, repair=True)}
    assert "request_log_rows wrong" in found
    assert [each for each in found if UNKNOWN in each] == []
    assert [str(each) for each in compared(engine)] == []
    assert visible_rows(client) == before


LOST = {
    "a request": "kind = 'request'",
    "a create": "JSONExtractString(entry, 'event') = 'create'",
    "an update": "JSONExtractString(entry, 'event') = 'update'",
    "a delete": "JSONExtractString(entry, 'event') = 'delete'",
    "an invalidation": "JSONExtractString(entry, 'event') = 'forget'",
    "anything": "1",
}


@pytest.mark.parametrize("lost", LOST)
def test_what_the_journal_has_lost_makes_nothing_wrong(
    client: Client, engine: str, before: VisibleRows, lost: str
) -> None:
    chance = random.Random(lost)
    of_many = (6, 2) if TIMES > 1 else (3,)
    for share in (1,) if lost == "an invalidation" else of_many:  # of invalidations there are few
        chosen = f"{LOST[lost]} AND cityHash64(id, sequence, {chance.randrange(2**32)}) % {share} = 0"
        client.command(f"ALTER TABLE feedback.journal DELETE WHERE {chosen} SETTINGS mutations_sync = 2")
        found = compared(engine, repair=True)
        assert visible_rows(client) == before
        assert {each.what.split(" ", 1)[1] for each in found} <= {UNKNOWN}
    assert found, "some loss must show"
