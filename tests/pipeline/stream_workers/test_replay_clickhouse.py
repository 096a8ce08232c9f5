"""The replay of tests/unit/stream_workers/test_replay.py with ClickHouse's own storage: hundreds of traces in one log.

Look-ups read and inserts write the real tables, so that what the engine keeps of equal keys, versions and places is
what is checked. Kafka is simulated, for workers must crash at every point. REPLAY_SEED and REPLAY_EXAMPLES apply here
too; each example holds some hundred histories, one a trace.
"""

import os
import random
import uuid
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

import clickhouse_connect
import pyarrow as pa
import pytest
from clickhouse_connect.driver.asyncclient import AsyncClient

from operations.expire.expiry import Positions, _remove
from operations.progress import Progress
from operations.retention import apply_settings
from schemas import topics
from stream_workers.io.clickhouse_sink import store
from stream_workers.io.lookup import JournalStates, fetch_claims, fetch_entries
from stream_workers.join.claims import Claim
from stream_workers.rollup.rollups import compute, stale_hours
from tests.model import Model, Outcome, check
from tests.pipeline.engines import clickhouse_with_tables
from tests.pipeline.stream_workers.test_rollups import expected, stored_rollups
from tests.tries import tries
from tests.unit.stream_workers.simulated_world import World, run
from tests.unit.stream_workers.test_replay import history, records

EXAMPLES = max(1, tries(200, "REPLAY_EXAMPLES") // 200)
SEED = int(os.environ.get("REPLAY_SEED") or random.randrange(2**32))
TRACES, EVENTS, MOST_RECORDS = 125, 1250, 200
ROWS = """
SELECT * REPLACE (toString(feedback_id) AS feedback_id) FROM feedback.feedback_rows
WHERE workspace = {w:String} ORDER BY version DESC LIMIT 1 BY workspace, home_organisation, home_environment,
    home_prompt, home_user, created_at, feedback_id
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with clickhouse_with_tables(tmp_path_factory.mktemp("replay") / "clickhouse") as address:
        # Histories lie in the past, and keys that are older than their retention are free again.
        apply_settings(address, {"FEEDBACK_KEEP_IDEMPOTENCY_KEYS_DAYS": "0"})
        yield address


COPIED = """
SELECT toString(feedback_id) AS feedback_id, any(value) AS value, any(weight) AS weight,
    any(created_at) AS created_at,
    any(join_state)::String AS join_state, groupArrayIf(model::String, model != '') AS models, any(_user) AS _user,
    any(_organisation) AS _organisation, any(_prompt) AS _prompt, any(_environment)::String AS _environment,
    any(version) AS version, any(is_deleted) AS is_deleted
FROM (
    SELECT * FROM feedback.feedback_hour_rows FINAL WHERE workspace = {w:String} AND (feedback_id, version) IN (
        SELECT feedback_id, max(version) FROM feedback.feedback_hour_rows WHERE workspace = {w:String}
        GROUP BY feedback_id
    )
)
GROUP BY feedback_id
"""


class StoredWorld(World):
    """A world whose tables are ClickHouse's. Its events are of a workspace of their own."""

    client: AsyncClient
    base: int

    async def look_up(self, hashes: set[int]) -> JournalStates:
        return JournalStates(await fetch_entries(self.client, hashes))

    def remove_expired(self, *, crash: bool) -> None:
        """In the end, by ClickHouse itself."""

    async def owners_of(self, claims: Collection[Claim]) -> dict[Claim, str]:
        return await fetch_claims(self.client, claims)

    async def put(self, name: str, rows: pa.Table) -> None:
        await store(self.client, {name: rows})

    async def copied(self, workspace: str) -> list[dict[str, Any]]:
        """The feedback that hours know, as rows have it: what was given stays there when its trace is removed."""
        return list((await self.client.query_arrow(COPIED, parameters={"w": workspace})).to_pylist())

    async def stored(self, workspace: str) -> Outcome:
        async def rows(query: str) -> list[dict[str, Any]]:
            found = await self.client.query_arrow(query, parameters={"w": workspace, "base": self.base})
            return list(found.to_pylist())

        of_dead = "SELECT DISTINCT topic, sequence FROM feedback.dead_letters WHERE kafka_partition = {base:UInt16}"
        of_journal = (
            "SELECT DISTINCT kind::String AS kind, sequence FROM feedback.journal WHERE kafka_partition = {base:UInt16}"
        )
        of_requests = (
            "SELECT DISTINCT toString(request_id) AS id FROM feedback.request_log_rows WHERE workspace = {w:String}"
        )
        return Outcome(
            await rows(ROWS),
            await rows("SELECT * FROM feedback.trace_aggregate_rows FINAL WHERE workspace = {w:String}"),
            {row["id"] for row in await rows(of_requests)},
            {(row["topic"], row["sequence"]) for row in await rows(of_dead)},
            {(row["kind"], row["sequence"]) for row in await rows(of_journal)},
            self.published,
        )


@pytest.mark.parametrize("example", range(EXAMPLES))
async def test_whatever_crashes_clickhouse_ends_as_a_plain_model_does(url: str, example: int) -> None:
    seed = SEED + example
    print(f"SEED={seed}")
    chance, workspace = random.Random(seed), uuid.uuid4().hex
    events = history(chance, workspace, TRACES, EVENTS)
    # The partition's number tells the examples apart where rows carry no workspace.
    logs = {
        topic: [record_of(example, each) for each in records(topic, events[topic], chance)] for topic in topics.INPUTS
    }
    world = StoredWorld(chance, logs, most_records=MOST_RECORDS)
    world.base = example
    world.client = await clickhouse_connect.get_async_client(dsn=url, autogenerate_session_id=False)
    try:
        await run(world)
        outcome = await world.stored(workspace)
        check(model := Model(logs), outcome)
        removed_rows = [row for row in await world.copied(workspace) if row["feedback_id"] in model.expired]
        anew = model.feedback.keys() | model.deleted.keys()
        given = [row for row in outcome.feedback if row["join_state"] != "expired"]
        given += [row for row in removed_rows if row["feedback_id"] not in anew]
        values = {row["feedback_id"]: (row["value"], float(row["weight"])) for row in given}
        assert all(
            values[each] == (row["value"], row["weight"]) for each, row in model.expired.items() if each not in anew
        )
        await compute(world.client, [hour for hour in await stale_hours(world.client) if hour.workspace == workspace])
    finally:
        await world.client.close()
    with clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False) as client:
        assert stored_rollups(client, workspace) == expected(given), f"rollups, seed {seed}"
        ends = {(topic, n): len(logs[topic]) * (n == example) for topic in topics.INPUTS for n in range(EXAMPLES)}
        _remove(client, Positions(dict.fromkeys(ends, 0), ends, 0), Progress())
        assert stored_rollups(client, workspace) == expected(given), f"rollups once traces are removed, seed {seed}"
    check(model, removed(model, await stored_in(world, url, workspace)))


async def stored_in(world: StoredWorld, url: str, workspace: str) -> Outcome:
    world.client = await clickhouse_connect.get_async_client(dsn=url, autogenerate_session_id=False)
    try:
        return await world.stored(workspace)
    finally:
        await world.client.close()


def removed(model: Model, outcome: Outcome) -> Outcome:
    """The outcome, where exactly what the model says went with its traces is gone for good."""
    assert model.journal - outcome.journal == model.covered
    gone = model.requests.keys() - outcome.requests
    assert gone == model.requests.keys() - model.kept_requests
    return replace(outcome, gone={*model.covered, *(("row", each) for each in gone)})


def record_of(partition: int, record: Any) -> Any:
    record.partition = partition
    return record
