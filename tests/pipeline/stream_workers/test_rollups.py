"""Hours and days equal a plain model, whatever was edited, deleted or joined late, and whoever writes too late."""

import asyncio
import random
import re
import uuid
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import clickhouse_connect
import pytest
import requests
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stream_workers.rollup.rollups import Hour, compute, recompute_after_removal, stale_hours
from stream_workers.rollup.statements import COLUMNS, READ, READ_UNCONTESTED
from tests.pipeline.engines import REPOSITORY, clickhouse_with_tables, until
from tests.pipeline.running import Pipeline
from tests.pipeline.sql_data import narrowed
from tests.pipeline.stream_workers.rollup_groups import groups_of
from tests.pipeline.stream_workers.test_pipeline import a_trace
from tests.tries import tries

START = datetime(2026, 11, 1, 22, tzinfo=UTC)
Row = dict[str, Any]
Group = tuple[str, str, datetime, str, str]


ADDRESSES: dict[Client, str] = {}
"""With its password, by the client that has it."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with clickhouse_with_tables(tmp_path_factory.mktemp("rollups") / "clickhouse") as url:
        client = clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False)
        ADDRESSES[client] = url
        yield client


def a_row(chance: random.Random, workspace: str, feedback_id: uuid.UUID, at: datetime, version: int) -> Row:
    return {
        "workspace": workspace, "feedback_id": feedback_id, "trace_id": "t", "value": chance.randint(-10, 10),
        "weight": Decimal(chance.randint(0, 10)) / 10, "created_at": at, "updated_at": at,
        "join_state": chance.choice(["pending", "joined"]), "models": chance.choice([[], ["a"], ["a", "b"]]),
        "_user": chance.choice(["", "u"]), "_organisation": chance.choice(["", "o1", "o2"]), "_prompt": "p",
        "_environment": chance.choice(["", "production"]), "version": version, "is_deleted": chance.random() < 0.2,
    }  # fmt: skip


def insert(client: Client, rows: list[Row]) -> None:
    columns = list(rows[0])
    client.insert("feedback.feedback_rows", [list(row.values()) for row in rows], column_names=columns)


def expected(rows: list[Row]) -> dict[Group, tuple[Any, ...]]:
    """The plain model: the highest version of each id, grouped the long way."""
    newest: dict[uuid.UUID, Row] = {}
    for row in rows:
        if row["feedback_id"] not in newest or row["version"] > newest[row["feedback_id"]]["version"]:
            newest[row["feedback_id"]] = row
    groups: dict[Group, list[Row]] = defaultdict(list)
    for row in newest.values():
        if row["is_deleted"]:
            continue
        for dimension, key in groups_of(row):
            hour = row["created_at"].replace(minute=0, second=0, microsecond=0)
            for period, start in (("hour", hour), ("day", hour.replace(hour=0))):
                groups[period, dimension, start.replace(tzinfo=None), row["_environment"], key].append(row)
    return {
        group: (
            len(members), sum(row["join_state"] == "joined" for row in members),
            sum((row["weight"] for row in members), Decimal(0)),
            sum((row["weight"] * row["value"] for row in members), Decimal(0)),
            sum((row["weight"] * row["value"] ** 2 for row in members), Decimal(0)),
            [sum(row["value"] == value for row in members) for value in range(-10, 11)],
            sum(row["weight"] > 0 for row in members),
            sum((row["weight"] ** 2 for row in members), Decimal(0)),
            sum((row["weight"] ** 2 * row["value"] for row in members), Decimal(0)),
            sum(((row["weight"] * row["value"]) ** 2 for row in members), Decimal(0)),
            max(row["created_at"].replace(tzinfo=None) for row in members),
        )
        for group, members in groups.items()
    }  # fmt: skip


def stored_rollups(client: Client, workspace: str) -> dict[Group, tuple[Any, ...]]:
    found = client.query(
        "SELECT period, dimension, start, environment, key, feedback_count, joined_count, weight_sum, value_weight_sum,"
        " weight_value_squared_sum, value_counts, weighted_count, squared_weight_sum, value_squared_weight_sum,"
        " squared_value_weight_sum, last_seen FROM feedback.rollups WHERE workspace = {w:String}",
        parameters={"w": workspace},
    ).result_rows
    return {
        (row[0], row[1], row[2].replace(tzinfo=None), *row[3:5]): (*row[5:-1], row[-1].replace(tzinfo=None))
        for row in found
    }


async def connected(client: Client) -> AsyncClient:
    return await clickhouse_connect.get_async_client(dsn=ADDRESSES[client], autogenerate_session_id=False)


@settings(max_examples=tries(6), suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(seed=st.integers(0, 2**63))
def test_rollups_equal_a_plain_model_however_late_some_are_written(client: Client, seed: int) -> None:
    asyncio.run(History(client, random.Random(seed)).play())


@pytest.mark.parametrize("seed", range(tries(1)))
def test_what_was_read_before_a_removal_counts_no_more(client: Client, seed: int) -> None:
    asyncio.run(History(client, random.Random(seed)).play_with_a_removal())


class History:
    """Versions of feedback come in any order; computations are read, held back, and written in any order, by programs
    that were believed dead."""

    def __init__(self, client: Client, chance: random.Random) -> None:
        self.client, self.chance, self.workspace = client, chance, uuid.uuid4().hex
        self.places = [(uuid.UUID(int=chance.getrandbits(128)), START + timedelta(minutes=37 * n)) for n in range(6)]
        self.hours = {Hour(self.workspace, int(at.timestamp()) // 3600 * 3600) for _, at in self.places}
        self.rows: list[Row] = []
        self.held_back: list[list[Any]] = []

    async def play(self) -> None:
        async with await connected(self.client) as self.asynchronous:
            for version in self.chance.sample(range(20), self.chance.randint(3, 9)):
                self._store(version)
                if self.chance.random() < 0.5:
                    self._hold_back()
                else:
                    await compute(self.asynchronous, [self.chance.choice(sorted(self.hours))])
                if self.held_back and self.chance.random() < 0.3:
                    self._write_late(self.held_back.pop(self.chance.randrange(len(self.held_back))))
            await self._settle()

    async def play_with_a_removal(self) -> None:
        """The numbers of an hour shrink, and what was read before comes late; once a removal is cut off."""
        async with await connected(self.client) as self.asynchronous:
            for version in range(6):
                self._store(version)
            await compute(self.asynchronous, self.hours)
            self._store(6)
            for _ in range(12):
                self._hold_back()
            for place in self.places[:2]:
                self._remove_rows(place[0])
                await recompute_after_removal(self.asynchronous, [Hour(self.workspace, int(place[1].timestamp()))])
                assert self._void_rows() == 0
                for _ in range(3):
                    self._hold_back()
                for _ in range(4):
                    self._write_late(self.held_back.pop(0))
            gone, at = self.places[2]
            self._remove_rows(gone)
            hour = at.replace(minute=0, second=0)
            self.client.insert("feedback.rollup_removals", [(self.workspace, hour, uuid.uuid4())])
            stale = [hour for hour in await stale_hours(self.asynchronous) if hour.workspace == self.workspace]
            assert stale, "nobody would ever compute the hour whose removal was cut off"
            await self._settle()

    async def _settle(self) -> None:
        await compute(self.asynchronous, self.hours)
        self.chance.shuffle(self.held_back)
        for computed in self.held_back:
            self._write_late(computed)
        stale = [hour for hour in await stale_hours(self.asynchronous) if hour.workspace == self.workspace]
        assert stored_rollups(self.client, self.workspace) == expected(self.rows)
        assert stale == []

    def _store(self, version: int) -> None:
        written = [
            a_row(self.chance, self.workspace, *place, version)
            for place in self.chance.sample(self.places, self.chance.randint(1, 3))
        ]
        self.rows += written
        insert(self.client, written)

    def _hold_back(self) -> None:
        """What a program has read, of an hour or a day, and not written yet."""
        period, hour = self.chance.choice(["hour", "day"]), self.chance.choice(sorted(self.hours))
        bucket = hour if period == "hour" else hour.day
        epochs = dict(
            self.client.query(
                "SELECT (period, toUnixTimestamp(start)), count() FROM feedback.rollup_void_epochs"
                " WHERE workspace = {w:String} GROUP BY 1", {"w": self.workspace},
            ).result_rows
        )  # fmt: skip
        epoch = epochs.get((period, bucket.start), 0)
        parameters = {"period": period, "workspace": self.workspace, "starts": [bucket.start], "epochs": [epoch]}
        self.held_back.append(list(self.client.query(READ[period], parameters).result_rows))

    def _write_late(self, computed: list[Any]) -> None:
        if computed:
            self.client.insert("feedback.rollup_rows", computed, column_names=COLUMNS.split(", "))

    def _remove_rows(self, gone: uuid.UUID) -> None:
        for table in ("feedback_rows", "feedback_hour_rows"):
            self.client.command(
                f"ALTER TABLE feedback.{table} DELETE WHERE feedback_id = {{id:UUID}} SETTINGS mutations_sync = 2",
                {"id": gone},
            )
        self.rows = [row for row in self.rows if row["feedback_id"] != gone]

    def _void_rows(self) -> int:
        return int(
            self.client.command(
                "SELECT count() FROM feedback.rollup_rows"
                " WHERE (workspace, period, start, toUInt32(bitShiftRight(version, 104))) IN"
                " (SELECT workspace, period, start, epoch FROM feedback.rollup_void_epochs"
                " WHERE workspace = {w:String})",
                {"w": self.workspace},
            )
        )


def test_an_hour_that_nobody_has_named_is_found(client: Client) -> None:
    workspace, chance = uuid.uuid4().hex, random.Random(3)
    row = a_row(chance, workspace, uuid.uuid4(), START, 1) | {"is_deleted": False}
    insert(client, [row])

    async def found() -> list[Hour]:
        async with await connected(client) as asynchronous:
            before = [hour for hour in await stale_hours(asynchronous) if hour.workspace == workspace]
            await compute(asynchronous, before)
            assert [hour for hour in await stale_hours(asynchronous) if hour.workspace == workspace] == []
            return before

    assert asyncio.run(found()) == [Hour(workspace, int(START.timestamp()))]
    assert stored_rollups(client, workspace) == expected([row])


@pytest.mark.parametrize("seed", range(tries(2)))
def test_a_reading_during_which_rows_come_is_outdone_by_the_next(client: Client, seed: int) -> None:
    """The rows of an hour are looked at twice: either look may have seen less than the other. Contested copies may come
    after the look for them."""
    workspace, chance = uuid.uuid4().hex, random.Random(seed)
    places = [uuid.UUID(int=chance.getrandbits(128)) for _ in range(5)]
    hour = Hour(workspace, int(START.timestamp()))
    condition = f"workspace = '{workspace}' AND hour = toDateTime({hour.start}, 'UTC')"

    def insert_versions(versions: range) -> None:
        for version in versions:
            full = version << 16 | 0xFFFF if chance.random() < 0.5 else version << 16
            for place in chance.sample(places, 3):
                # Beyond 65,535 requests, several under one version.
                insert(client, [a_row(chance, workspace, place, START, full) for _ in range(chance.randint(1, 2))])

    def read(rows: str, overtaken: str, statement: str = READ["hour"]) -> dict[Any, Any]:
        query = statement.replace("FROM feedback.feedback_hour_rows WHERE", f"FROM {overtaken} WHERE")
        query = query.replace("FROM feedback.feedback_hour_rows FINAL", f"FROM {rows} FINAL")
        found = client.query(query, asked).result_rows
        return {row[3:6]: (row[-1], row[6:-1]) for row in found}

    asked = {"period": "hour", "workspace": workspace, "starts": [hour.start], "epochs": [0]}
    insert_versions(range(3))
    client.command("DROP TABLE IF EXISTS feedback.hour_rows_before")
    client.command("CREATE TABLE feedback.hour_rows_before AS feedback.feedback_hour_rows")
    copy = f"SELECT * FROM feedback.feedback_hour_rows WHERE {condition}"
    client.command(f"INSERT INTO feedback.hour_rows_before {copy}")
    insert_versions(range(3, 6))
    before, now = "feedback.hour_rows_before", "feedback.feedback_hour_rows"
    last = read(now, now)
    early_ones = [read(before, before), read(before, now), read(now, before)]
    assert last not in early_ones
    unaware = [read(rows, overtaken, READ_UNCONTESTED) for rows in (before, now) for overtaken in (before, now)]
    for early in early_ones + unaware:
        for group, (version, numbers) in early.items():
            assert version < last[group][0] or (version, numbers) == last[group], group
    client.command("DROP TABLE feedback.hour_rows_before")


def test_of_several_forms_under_one_version_one_counts(client: Client) -> None:
    """Beyond 65,535 requests a version counts them no more, and a late one may still move a feedback."""
    workspace, chance, at = uuid.uuid4().hex, random.Random(1), START
    first = a_row(chance, workspace, uuid.uuid4(), at, 7 << 16 | 0xFFFF) | {"is_deleted": False, "models": ["a"]}
    moved = first | {"_organisation": "moved", "models": ["a", "b"]}
    insert(client, [moved])
    insert(client, [first])

    async def computed() -> list[Hour]:
        async with await connected(client) as asynchronous:
            await compute(asynchronous, [Hour(workspace, int(at.timestamp()))])
            return [hour for hour in await stale_hours(asynchronous) if hour.workspace == workspace]

    assert asyncio.run(computed()) == []
    assert stored_rollups(client, workspace) == expected([moved])


def test_the_queries_of_the_document_say_what_the_feedback_itself_does(client: Client) -> None:
    workspace, chance = uuid.uuid4().hex, random.Random(5)
    now = datetime.now(UTC).replace(microsecond=0)
    ages = [timedelta(days=chance.choice([0.01, 1, 40, 85, 91, 300])) for _ in range(80)]
    insert(client, [a_row(chance, workspace, uuid.uuid4(), now - age, 1) for age in ages])

    async def computed() -> None:
        async with await connected(client) as asynchronous:
            await compute(asynchronous, await stale_hours(asynchronous))

    asyncio.run(computed())
    document = (REPOSITORY / "docs/sql.md").read_text().split("\n## Hours and days\n")[1]
    organisations, values = re.findall(r"```sql\n(.+?)```", document, re.DOTALL)
    recent = "FROM feedback.feedback WHERE created_at >= toStartOfDay(now('UTC')) - INTERVAL 89 DAY"
    by_hand = {
        organisations: "SELECT _organisation, count() AS n, countIf(join_state = 'joined'),"
        f" sum(value * weight) / count(), sum(value * weight) / nullIf(sum(weight), 0) {recent}"
        " GROUP BY _organisation ORDER BY n DESC, _organisation",
        values: f"SELECT value, count() {recent} GROUP BY value ORDER BY value",
    }
    for query, same in by_hand.items():
        answer, expected = (
            client.query(narrowed(each, f"workspace = '{workspace}'")).result_rows for each in (query, same)
        )
        assert len(answer) > 2
        assert answer == expected


def test_numbers_per_hour_follow_edits_late_joins_and_deletes_through_crashes(pipeline: Pipeline) -> None:
    organisation = uuid.uuid4().hex

    def numbers(dimension: str, key: str) -> Row:
        rows = pipeline.sql(
            "SELECT sum(feedback_count) AS count, sum(value_weight_sum) AS total FROM feedback.rollups"
            " WHERE period = 'day' AND dimension = {d:String} AND key = {k:String}", d=dimension, k=key,
        )  # fmt: skip
        return rows[0]

    with pipeline.rollup() as rollup:
        trace, model = a_trace(), f"m-{organisation}"
        first, second = (pipeline.feedback(trace, value, 0.5, _organisation=organisation) for value in (4, 6))
        until(lambda: numbers("organisation", organisation)["total"] == 5, "both are counted")
        rollup.kill()
        requests.put(f"{pipeline.url}/v1/feedback/{first}", json={"value": -4}, timeout=30).raise_for_status()
        pipeline.request(trace, model)
        until(lambda: pipeline.stored(first).get("join_state") == "joined", "the request has joined")
        rollup.start()
        until(lambda: numbers("organisation", organisation)["total"] == 1, "the edit counts")
        until(lambda: numbers("model", model)["count"] == 2, "the late join counts")
        for each in (first, second):
            requests.delete(f"{pipeline.url}/v1/feedback/{each}", timeout=30).raise_for_status()
        gone = "SELECT count() FROM feedback.rollups WHERE key IN {k:Array(String)}"
        until(lambda: pipeline.count(gone, k=[organisation, model]) == 0, "groups that have become empty are gone")


def test_rollups_are_exact_although_workers_and_the_rollup_program_die_in_the_middle(pipeline: Pipeline) -> None:
    """Feedback, edits, deletes and late requests while both are killed; then rollups are what the feedback says."""
    tag, chance = uuid.uuid4().hex, random.Random(11)
    shared = (
        "sum(weight), sum(value * weight), sum(value * value * weight), countIf(join_state = 'joined'), count()"
        " FROM feedback.feedback WHERE startsWith(_organisation, {t:String}) GROUP BY key, environment"
    )
    rolled = (
        "SELECT key, environment, sum(weight_sum), sum(value_weight_sum), sum(weight_value_squared_sum),"
        " sum(joined_count), sum(feedback_count) FROM feedback.rollups WHERE period = {p:String}"
        " AND dimension = 'organisation' AND startsWith(key, {t:String}) GROUP BY key, environment"
    )

    def numbers(query: str, period: str = "") -> set[tuple[Any, ...]]:
        return set(map(tuple, pipeline.sql_client.query(query, {"t": tag, "p": period}).result_rows))

    with pipeline.rollup() as rollup:
        for turn in range(12):
            traces = [a_trace() for _ in range(40)]
            metadata = [
                {"_organisation": f"{tag}-{chance.randrange(5)}", "_environment": chance.choice(["production", "x"])}
                for _ in traces
            ]
            made = pipeline.post(
                "/v1/feedback",
                [
                    {
                        "trace_id": t,
                        "value": chance.randint(-10, 10),
                        "weight": chance.randint(0, 10) / 10,
                        "metadata": m,
                    }
                    for t, m in zip(traces, metadata, strict=True)
                ],
            )
            for trace in traces[:3]:
                pipeline.request(trace, f"model-{turn}")
            for each in made[:4]:
                moved = {"value": 1, "metadata": {"_organisation": f"{tag}-moved-{turn % 3}"}}
                requests.put(f"{pipeline.url}/v1/feedback/{each}", json=moved, timeout=30).raise_for_status()
            requests.delete(f"{pipeline.url}/v1/feedback/{made[5]}", timeout=30).raise_for_status()
            if turn == 4:
                until(lambda: numbers(rolled, "hour"), "rolling up has begun")
                rollup.kill()
                pipeline.workers[0].kill()
            elif turn == 7:
                pipeline.workers[0].start()
                rollup.start()
            elif turn == 10:
                rollup.kill()
                rollup.start()
        until(pipeline.is_settled, "the workers have processed everything")
        standing = numbers(f"SELECT _organisation AS key, _environment::String AS environment, {shared}")
        assert sum(row[-1] for row in standing) == 12 * 39
        for period in ("hour", "day"):
            until(lambda p=period: numbers(rolled, p) == standing, f"{period}s are what the feedback says")  # type: ignore[misc]
