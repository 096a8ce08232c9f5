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
from clickhouse_connect.driver.client import Client

from operations.expire.expiry import Positions, _remove
from operations.progress import Progress
from operations.removal import mutate
from operations.retention import apply_settings
from runtime.times import rfc3339
from schemas import topics
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS
from stream_workers.io.clickhouse_sink import store
from stream_workers.io.lookup import JournalStates, fetch_claims, fetch_entries
from stream_workers.join.claims import Claim
from stream_workers.rollup.rollups import compute, stale_hours
from tests.model import Model, Outcome, check
from tests.pipeline.engines import clickhouse_with_tables
from tests.pipeline.operations.test_reconcile_work import as_records
from tests.pipeline.stream_workers.stored_histories import store_records
from tests.pipeline.stream_workers.test_rollups import expected, stored_rollups
from tests.tries import tries
from tests.unit.stream_workers.simulated_world import World, run
from tests.unit.stream_workers.test_replay import START_MS, history, identity, records, requested

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


class Resent:
    """Requests of four traces in a partition of their own, and the removal of these traces."""

    partition = EXAMPLES

    def __init__(self, client: Client) -> None:
        self._client = client
        self._chance, self._workspace = random.Random(SEED), uuid.uuid4().hex
        self.events = [requested(self._chance, f"t{n}", n, self._workspace) for n in range(4)]
        self.later = [{**each, "started_at": rfc3339(START_MS + 9 * 3_600_000)} for each in self.events]
        """The same requests with another start, so that their rows are never merged with the first ones."""

    def store(self, requests: list[dict[str, Any]], first: int) -> None:
        """Store them as workers do that start anew."""
        self._store(REQUEST_LOGS, requests, first)

    def expire(self, first: int, requests_before: int) -> None:
        """Store an expire event for each of the four traces."""
        common = {"event": "expire", "expired_at": rfc3339(START_MS), "feedback_before": first}
        common["requests_before"] = requests_before
        ids = [identity(self._chance, each["trace_id"], self._workspace) for each in self.events]
        self._store(FEEDBACK_EVENTS, [{**common, "feedback_id": each} for each in ids], first)

    def remove(self) -> None:
        """One pass of the removal."""
        ends = {(topic, n): 99 * (n == self.partition) for topic in topics.INPUTS for n in range(self.partition + 1)}
        _remove(self._client, Positions(dict.fromkeys(ends, 0), ends, 0), Progress())

    def rows(self) -> set[tuple[int, int]]:
        """The number of the request and the sequence of each row."""
        query = "SELECT toString(request_id), sequence FROM feedback.request_log_rows WHERE workspace = {w:String}"
        numbers = {each["request_id"]: n for n, each in enumerate(self.events)}
        found = self._client.query(query, {"w": self._workspace}).result_rows
        return {(numbers[request_id], sequence) for request_id, sequence in found}

    def entries(self) -> set[int]:
        """The sequences of the requests in the journal."""
        query = "SELECT sequence FROM feedback.journal WHERE kind = 'request' AND kafka_partition = {n:UInt16}"
        return {sequence for (sequence,) in self._client.query(query, {"n": self.partition}).result_rows}

    def _store(self, topic: str, events: list[dict[str, Any]], first: int) -> None:
        of_topic = [record_of(self.partition, each) for each in as_records(topic, events, first)]
        store_records(self._client, {topic: of_topic})


def test_a_request_that_is_sent_again_keeps_one_row_and_its_later_entries_alone(url: str) -> None:
    with clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False) as client:
        sent = Resent(client)
        # The last is sent again before a worker has read of the removal: it then has no second row.
        sent.store([*sent.events, sent.events[3]], 0)
        sent.expire(0, requests_before=4)
        sent.store([sent.events[0], sent.later[1]], 5)
        # Of the third one, sent again as well, a worker has just stored the row, and not the entry.
        sent.store([sent.later[2]], 7)
        mutate(client, {"journal": "DELETE WHERE kafka_partition = {n:UInt16} AND sequence = 7"}, {"n": sent.partition})
        # ClickHouse may have merged the two rows of the first one.
        assert {*sent.rows(), (0, 0)} == {(0, 0), (1, 1), (2, 2), (3, 3), (0, 5), (1, 6), (2, 7)}
        sent.remove()
        assert sent.entries() == {4, 5, 6}
        assert sent.rows() == {(0, 5), (1, 6), (2, 7), (3, 3)}

        made = client.command("SELECT count() FROM system.mutations")
        sent.remove()
        assert client.command("SELECT count() FROM system.mutations") == made, "one pass has left work for the next"

        sent.store([sent.later[2]], 7)
        sent.expire(4, requests_before=8)
        sent.remove()
        assert (sent.entries(), sent.rows()) == (set(), set())


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
