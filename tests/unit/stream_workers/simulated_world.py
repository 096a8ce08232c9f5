"""A simulated world of one partition for replay tests: logs, storage, and workers that crash or lose partitions.

Storage keeps what the real engines keep: every journal entry, for each sort key the row of the highest version, and for
each message key the message of the highest version. Workers run the real `Processor` in the real `StagePipeline`, with
several batches in flight. At every engine call, and at the end of every computation, the scheduler may continue with
anything else in flight, fail the call, kill its worker, or revoke its partitions.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar
from unittest.mock import patch

import msgspec
import pyarrow as pa
from aiokafka.structs import ConsumerRecord
from faust.types import TP

from schemas import topics
from stream_workers.batches import process_batch
from stream_workers.batches.offset_progress import AssignmentProgress, ConsumerBatch
from stream_workers.batches.process_batch import StoredStates
from stream_workers.batches.processor import Processor
from stream_workers.batches.stage_pipeline import StagePipeline
from stream_workers.io.arrow_rows import CLAIMS
from stream_workers.io.lookup import JournalStates
from stream_workers.io.output_messages import OutputMessage
from stream_workers.io.retry import Backoff
from stream_workers.join import state_codec, trace_cache
from stream_workers.join.claims import Claim
from stream_workers.join.incoming_events import Expired
from stream_workers.join.trace_cache import TraceCache
from stream_workers.join.trace_state import latest_expiry
from tests.model import Outcome

Result = TypeVar("Result")

PLACES = {
    "journal": ("trace_hash", "kind", "id", "sequence"),
    "request_log_rows": ("workspace", "started_at", "request_id"),
    "feedback_rows": (
        "workspace", "home_organisation", "home_environment", "home_prompt", "home_user", "created_at", "feedback_id",
    ),
    "trace_aggregate_rows": ("workspace", "trace_id"),
    "dead_letters": ("topic", "kafka_partition", "sequence"),
}  # fmt: skip
VERSIONED = ("feedback_rows", "trace_aggregate_rows")
STUCK_AFTER_S = 120


@dataclass
class World:
    """Both input logs, what has been committed, and everything that has been stored or published."""

    chance: random.Random
    logs: dict[str, list[ConsumerRecord]]
    committed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(topics.INPUTS, 0))
    tables: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = field(
        default_factory=lambda: {name: {} for name in PLACES}
    )
    claims: dict[Claim, str] = field(default_factory=dict)
    published: dict[tuple[str, bytes], tuple[int, bytes | None]] = field(default_factory=dict)
    most_records: int = 4
    contradictions: list[str] = field(default_factory=list)
    gone: set[tuple[str, Any]] = field(default_factory=set)
    """What was physically removed: (kind, sequence) of entries of the journal, ("row", id) of requests."""

    async def look_up(self, hashes: set[int]) -> JournalStates:
        lines = [row["line"] for row in self.tables["journal"].values() if row["trace_hash"] in hashes]
        return JournalStates(b"[%b]" % b",".join(lines))

    async def owners_of(self, claims: Collection[Claim]) -> dict[Claim, str]:
        return {claim: self.claims[claim] for claim in claims if claim in self.claims}

    async def put(self, name: str, rows: pa.Table) -> None:
        for row in rows.to_pylist():
            self._put(name, row)

    def _put(self, name: str, row: dict[str, Any]) -> None:
        if name == CLAIMS:
            self.claims.setdefault((row["workspace"], row["idempotency_key"]), row["digest"])
            return
        place = tuple(row[column] for column in PLACES[name])
        held = self.tables[name].get(place)
        if held is None or name not in VERSIONED or row["version"] > held["version"]:
            self.tables[name][place] = row
        elif row["version"] == held["version"] and row != held:
            self.contradictions.append(f"two contents under one version of {name}: {held} and {row}")

    def readable(self, topic: str) -> list[ConsumerRecord]:
        """The log up to the first expiry that cannot have been sent yet: it names only committed records."""
        log = self.logs[topic]
        return log[: next((n for n, record in enumerate(log) if not self._may_be_there(record)), len(log))]

    def _may_be_there(self, record: ConsumerRecord) -> bool:
        expiry = expiry_in(record)
        return expiry is None or (
            self.committed[topics.FEEDBACK_EVENTS] >= expiry.feedback_before
            and self.committed[topics.REQUEST_LOGS] >= expiry.requests_before
        )

    def remove_expired(self, *, crash: bool) -> None:
        """Remove what committed expiries cover, as `feedback expire` does: the rows of requests, then the journal."""
        by_hash: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for row in self.tables["journal"].values():
            by_hash[row["trace_hash"]].append(row)
        for trace_hash, rows in by_hash.items():
            committed = self.committed[topics.FEEDBACK_EVENTS]
            known = [row for row in rows if row["kind"] == "request" or row["sequence"] < committed]
            answer = JournalStates(b"[%b]" % b",".join(row["line"] for row in known))
            if (expiry := latest_expiry(answer.entries(trace_hash))) is None:
                continue
            requests = [row for row in known if row["kind"] == "request"]
            later = {row["id"] for row in requests if row["sequence"] >= expiry.requests_before}
            gone = {row["id"] for row in requests} - later
            self._drop("request_log_rows", lambda row, gone=gone: row["request_id"] in gone)
            self.gone |= {("row", each) for each in gone}
            if crash:
                return
            before = {"request": expiry.requests_before, "feedback": expiry.sequence}
            covered = [row for row in known if row["sequence"] < before.get(row["kind"], 0)]
            self.gone |= {(row["kind"], row["sequence"]) for row in covered}
            self._drop("journal", lambda row, covered=covered: row in covered)

    def _drop(self, name: str, is_gone: Callable[[dict[str, Any]], bool]) -> None:
        self.tables[name] = {place: row for place, row in self.tables[name].items() if not is_gone(row)}

    def outcome(self) -> Outcome:
        """What is stored and published now."""
        tables = {name: list(rows.values()) for name, rows in self.tables.items()}
        return Outcome(
            tables["feedback_rows"],
            tables["trace_aggregate_rows"],
            {row["request_id"] for row in tables["request_log_rows"]},
            {(row["topic"], row["sequence"]) for row in tables["dead_letters"]},
            {(row["kind"], row["sequence"]) for row in tables["journal"]},
            self.published,
            self.gone,
        )

    def publish(self, message: OutputMessage) -> None:
        version = message.version or 0
        held = self.published.get((message.topic, message.key))
        if held is None or version >= held[0]:
            self.published[message.topic, message.key] = (version, message.value)


class SimulatedWorker:
    """One worker process: it reads from the group's commits, as long as it believes that it owns the partitions."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.chance = world.chance
        self.owner = False
        self.pauses: list[asyncio.Future[None]] = []
        self.errors: list[BaseException] = []
        self.progress = AssignmentProgress()
        self.processor = Processor(
            self,
            TraceCache(self.chance.choice([0, 1500, 1_000_000])),
            lambda batch: batch.assignment != self.progress.number,
            backoff=Backoff(sleep=lambda _: self.pause()),
            compute=self._compute,
        )
        self.pipeline = StagePipeline(self.processor, lambda _: None, self._acknowledge, self.errors.append)
        self._reader: asyncio.Task[None] | None = None

    def assign(self) -> None:
        """Both partitions are this worker's, from the last commit on."""
        self.owner = True
        self._reader = asyncio.create_task(self._read(dict(self.world.committed)))

    def revoke(self) -> None:
        """Revoke the partitions, and let the worker know; batches in flight cannot move commits any more."""
        self.owner = False
        self.progress.reset()
        if self._reader:
            self._reader.cancel()

    async def crash(self) -> None:
        """Kill it where it stands."""
        self.revoke()
        await self.pipeline.stop()

    def advance(self) -> bool:
        """Let one of the calls in flight continue. False if there is none."""
        self.pauses = [pause for pause in self.pauses if not pause.done()]
        if not self.pauses:
            return False
        self.pauses.pop(self.chance.randrange(len(self.pauses))).set_result(None)
        return True

    async def pause(self) -> None:
        """Wait until the scheduler lets this call continue."""
        turn = asyncio.get_running_loop().create_future()
        self.pauses.append(turn)
        await turn

    async def fetch(self, hashes: set[int]) -> StoredStates:
        await self._engine_call()
        answer = await self.world.look_up(hashes)
        await self.pause()
        return answer

    async def fetch_claims(self, claims: Collection[Claim]) -> dict[Claim, str]:
        await self._engine_call()
        return await self.world.owners_of(claims)

    async def store(self, rows: dict[str, pa.Table]) -> None:
        first, last = ("request_log_rows", "journal"), ("trace_aggregate_rows",)
        between = sorted(rows.keys() - {*first, *last})
        for name in (*first, *self.chance.sample(between, len(between)), *last):
            if name not in rows:
                continue
            await self._engine_call()
            await self.world.put(name, rows[name])
        await self._engine_call()

    async def publish(self, batch: list[OutputMessage]) -> None:
        for message in batch:
            if self.chance.random() < 0.2:
                await self._engine_call()
            self.world.publish(message)
        await self._engine_call()

    async def _compute(self, work: Callable[[], Result]) -> Result:
        result = work()
        await self.pause()
        return result

    async def _engine_call(self) -> None:
        await self.pause()
        if self.chance.random() < 0.03:
            raise ConnectionError("an engine is away")

    async def _read(self, position: dict[str, int]) -> None:
        while True:
            records: dict[TP, list[ConsumerRecord]] = {}
            for topic in self.chance.sample(topics.INPUTS, 2):
                start = position[topic]
                batch = self.world.readable(topic)[start : start + self.chance.randint(0, self.world.most_records)]
                if batch:
                    records[TP(topic, 0)] = batch
                    position[topic] = start + len(batch)
            if records:
                self.progress.gather(records)
                await self.pipeline.feed(self.progress.take_batch())
            elif all(position[topic] >= len(log) for topic, log in self.world.logs.items()):
                await self.pipeline.drain()
                return
            elif all(position[topic] >= len(self.world.readable(topic)) for topic in topics.INPUTS):
                await self.pipeline.drain()
                self._commit()
            await self.pause()

    def _acknowledge(self, batch: ConsumerBatch) -> None:
        self.progress.acknowledge(batch)
        if self.chance.random() < 0.7:
            self._commit()

    def _commit(self) -> None:
        for topic in topics.INPUTS if self.owner else ():
            if (offset := self.progress.committable(TP(topic, 0))) is not None:
                self.world.committed[topic] = offset

    @property
    def at_the_end(self) -> bool:
        return self._reader is not None and self._reader.done()


async def run(*worlds: World) -> None:
    """Drive workers through the logs, with every kind of trouble, until an owner has processed everything.

    Of several worlds each has workers of its own, and all are driven at once.
    """
    chance = worlds[0].chance
    limits = [
        patch.object(state_codec, "LARGE", chance.choice([1, 4, state_codec.LARGE])),
        patch.object(trace_cache, "COMPRESS_FROM", chance.choice([0, trace_cache.COMPRESS_FROM])),
        patch.object(process_batch, "CHUNK_EVENTS", chance.choice([1, 2, process_batch.CHUNK_EVENTS])),
        patch.object(process_batch, "YIELD_EVERY_EVENTS", chance.choice([1, 3, process_batch.YIELD_EVERY_EVENTS])),
    ]
    with ExitStack() as patched:
        for each in limits:
            patched.enter_context(each)
        await asyncio.gather(*map(_drive, worlds))


async def _drive(world: World) -> None:
    chance, owner = world.chance, SimulatedWorker(world)
    others: list[SimulatedWorker] = []
    owner.assign()
    troubles = chance.randint(0, 6)
    begun = time.monotonic()
    while not owner.at_the_end:
        assert time.monotonic() - begun < STUCK_AFTER_S, "a worker is stuck"
        await settle_down()
        if not any(worker.pauses for worker in (owner, *others)):
            await asyncio.sleep(0.0005)  # an engine that is real takes its time
            continue
        busy = [worker for worker in others if worker.pauses]
        if busy and chance.random() < 0.4:
            chance.choice(busy).advance()
            continue
        owner.advance()
        if chance.random() < 0.05:
            world.remove_expired(crash=chance.random() < 0.3)
        if troubles and chance.random() < 0.1:
            troubles -= 1
            match chance.choice(["crash", "believed dead", "revoked"]):
                case "crash":
                    await owner.crash()
                case "believed dead":
                    owner.owner = False  # the worker does not know, and continues to read and write
                    others.append(owner)
                case _:
                    owner.revoke()
                    others.append(owner)
            owner = next_owner(world, others)
            owner.assign()
    for worker in others:
        for _ in range(chance.randint(0, 60)):
            await settle_down()
            worker.advance()
        await worker.crash()
    world.remove_expired(crash=False)
    for worker in (owner, *others):
        assert not worker.errors, worker.errors
    assert not world.contradictions, world.contradictions


def next_owner(world: World, others: list[SimulatedWorker]) -> SimulatedWorker:
    """A new worker, or an earlier one that has lost its partitions and still has its cache."""
    returning = [worker for worker in others[:-1] if world.chance.random() < 0.5]
    if not returning:
        return SimulatedWorker(world)
    others.remove(returning[0])
    returning[0].revoke()
    return returning[0]


def expiry_in(record: ConsumerRecord) -> Expired | None:
    """The expiry event in the record, if it is one."""
    if record.topic != topics.FEEDBACK_EVENTS or b'"expire"' not in record.value:
        return None
    return msgspec.json.decode(record.value, type=Expired)


async def settle_down() -> None:
    """Let everything run that waits for no engine."""
    for _ in range(12):
        await asyncio.sleep(0)
