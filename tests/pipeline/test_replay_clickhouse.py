"""The replay of tests/unit/test_replay.py with ClickHouse's own storage: hundreds of traces in one log.

Look-ups read and inserts write the real tables, so that what the engine keeps of equal keys, versions and places is
what is checked. Kafka is simulated, for workers must crash at every point. REPLAY_SEED and REPLAY_EXAMPLES apply here
too; each example holds some hundred histories, one a trace.
"""

import os
import random
import uuid
from collections.abc import Collection, Iterator
from typing import Any

import clickhouse_connect
import pyarrow as pa
import pytest
from clickhouse_connect.driver.asyncclient import AsyncClient

from deploy.kafka.broker import free_ports
from deploy.migrate import migrate
from deploy.retention import apply_settings
from schemas import topics
from stream_workers.join import Claim
from stream_workers.lookup import JournalAnswer, fetch_claims, fetch_entries
from stream_workers.rollups import compute, stale_hours
from stream_workers.sink import store
from stream_workers.state import Bucket
from tests.model import Model, Outcome, check
from tests.pipeline.engines import clickhouse_front
from tests.pipeline.test_rollups import expected, shown
from tests.unit.simulated_world import World, run
from tests.unit.test_replay import history, records

EXAMPLES = max(1, int(os.environ.get("REPLAY_EXAMPLES", "1500")) // 125)
SEED = int(os.environ.get("REPLAY_SEED", "0"))
TRACES, EVENTS, MOST_RECORDS = 250, 2500, 400
ROWS = """
SELECT * REPLACE (toString(feedback_id) AS feedback_id) FROM feedback.feedback_rows
WHERE workspace = {w:String} ORDER BY version DESC LIMIT 1 BY workspace, home_organisation, home_environment,
    home_prompt, home_user, created_at, feedback_id
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    (port,) = free_ports(1)
    with clickhouse_front(tmp_path_factory.mktemp("replay") / "clickhouse", port) as address:
        migrate(address)
        # Histories lie in the past, and keys that are older than their retention are free again.
        apply_settings(address, {"FEEDBACK_KEEP_IDEMPOTENCY_KEYS_DAYS": "0"})
        yield address


class StoredWorld(World):
    """A world whose tables are ClickHouse's. Its events are of a workspace of their own."""

    client: AsyncClient
    base: int

    async def state_of(self, hashes: set[int]) -> dict[int, Bucket]:
        return JournalAnswer(await fetch_entries(self.client, hashes))(hashes)

    async def owners_of(self, claims: Collection[Claim]) -> dict[Claim, str]:
        return await fetch_claims(self.client, claims)

    async def put(self, name: str, rows: pa.Table) -> None:
        await store(self.client, {name: rows})

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
        check(Model(logs), outcome)
        await compute(world.client, [hour for hour in await stale_hours(world.client) if hour.workspace == workspace])
    finally:
        await world.client.close()
    synchronous = clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False)
    assert shown(synchronous, workspace) == expected(outcome.feedback), f"rollups, seed {seed}"


def record_of(partition: int, record: Any) -> Any:
    record.partition = partition
    return record
