"""A world of one partition for replay tests: logs, storage and workers that crash, pause and wake at any step.

Storage keeps what the real engines keep: every journal entry, per place the row of the highest version, per key
the message of the highest version. Workers run the real `Processor`; each engine call is a point at which the
scheduler may go on with another worker, or end this one for good.
"""

import random
from collections.abc import Awaitable, Coroutine, Generator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pyarrow as pa
from aiokafka.structs import ConsumerRecord
from faust.types import TP

from schemas import topics
from stream_workers.cache import TraceCache
from stream_workers.decode import read
from stream_workers.facts import RequestFact
from stream_workers.messages import Message
from stream_workers.processor import Processor
from stream_workers.record_batches import Poll, ProgressOfAssignment
from stream_workers.state import Bucket, fold

PLACES = {
    "trace_journal": ("trace_hash", "kind", "id", "sequence"),
    "request_log_rows": ("workspace", "started_at", "request_id"),
    "feedback_rows": (
        "workspace", "home_organisation", "home_environment", "home_prompt", "home_user", "created_at", "feedback_id",
    ),
    "trace_aggregate_rows": ("workspace", "trace_id"),
    "dead_letters": ("topic", "kafka_partition", "sequence"),
}  # fmt: skip
VERSIONED = ("feedback_rows", "trace_aggregate_rows")


@dataclass
class Pause(Awaitable[None]):
    """A point at which the scheduler decides who goes on."""

    def __await__(self) -> Generator[None, None, None]:
        yield


@dataclass
class World:
    """Both input logs, what has been committed, and everything that has been stored or published."""

    chance: random.Random
    logs: dict[str, list[ConsumerRecord]]
    committed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(topics.INPUTS, 0))
    tables: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = field(
        default_factory=lambda: {name: {} for name in PLACES}
    )
    published: dict[tuple[str, bytes], tuple[int, bytes | None]] = field(default_factory=dict)

    async def fetch(self, hashes: set[int]) -> dict[int, Bucket]:
        await Pause()
        found: dict[int, list[tuple[Any, str, int]]] = {trace_hash: [] for trace_hash in hashes}
        for row in self.tables["trace_journal"].values():
            if row["trace_hash"] in hashes:
                is_request = row["kind"] == "request"
                entry: Any = (
                    msgspec.json.decode(row["entry"], type=RequestFact)
                    if is_request
                    else read(topics.FEEDBACK_EVENTS, row["entry"])
                )
                found[row["trace_hash"]].append((entry, row["id"], row["sequence"]))
        await Pause()
        return {trace_hash: fold(entries) for trace_hash, entries in found.items()}

    async def store(self, rows: dict[str, pa.Table]) -> None:
        rest = sorted(rows.keys() - {"trace_journal"})
        for name in [*(rows.keys() & {"trace_journal"}), *self.chance.sample(rest, len(rest))]:
            await Pause()
            for row in rows[name].to_pylist():
                self._put(name, row)
        await Pause()

    def _put(self, name: str, row: dict[str, Any]) -> None:
        place = tuple(row[column] for column in PLACES[name])
        held = self.tables[name].get(place)
        if held is None or name not in VERSIONED or row["version"] > held["version"]:
            self.tables[name][place] = row
        elif row["version"] == held["version"]:
            assert row == held, f"two contents under one version of {name}"

    async def publish(self, batch: list[Message]) -> None:
        await Pause()
        for message in batch:
            version = int(dict(message.headers).get("version", b"0"))
            held = self.published.get((message.topic, message.key))
            if held is None or version >= held[0]:
                self.published[message.topic, message.key] = (version, message.value)
        await Pause()


class SimulatedWorker:
    """Reads from where the group has committed. A zombie goes on, but its commits no longer count."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.owner = True
        self.position = dict(world.committed)
        self.progress = ProgressOfAssignment()
        self.processor = Processor(world, TraceCache(world.chance.choice([0, 3, 1000])), lambda _: False)
        self.running: Coroutine[Any, Any, None] | None = None

    @property
    def idle_at_the_end(self) -> bool:
        return self.running is None and all(self.position[t] >= len(log) for t, log in self.world.logs.items())

    def advance(self) -> None:
        """Do the next thing up to the next engine call."""
        if self.running is None:
            if (poll := self._next_poll()) is None:
                return
            self.running = self._see_through(poll)
        try:
            self.running.send(None)
        except StopIteration:
            self.running = None

    def _next_poll(self) -> Poll | None:
        records: dict[TP, list[ConsumerRecord]] = {}
        for topic in self.world.chance.sample(topics.INPUTS, 2):
            start = self.position[topic]
            batch = self.world.logs[topic][start : start + self.world.chance.randint(0, 4)]
            if batch:
                records[TP(topic, 0)] = batch
                self.position[topic] = start + len(batch)
        return self.progress.poll(records) if records else None

    async def _see_through(self, poll: Poll) -> None:
        await self.processor.process(poll)
        await Pause()
        self.progress.acknowledge(poll)
        if self.owner and self.world.chance.random() < 0.7:
            for topic in topics.INPUTS:
                if (offset := self.progress.committable(TP(topic, 0))) is not None:
                    self.world.committed[topic] = offset


def run(world: World) -> None:
    """Drive workers through the logs with crashes and zombies until an owner has seen everything through."""
    owner = SimulatedWorker(world)
    zombies: list[SimulatedWorker] = []
    troubles = world.chance.randint(0, 6)
    while not owner.idle_at_the_end:
        if zombies and world.chance.random() < 0.4:
            world.chance.choice(zombies).advance()
            continue
        owner.advance()
        if troubles and world.chance.random() < 0.15:
            troubles -= 1
            owner.owner = False
            if world.chance.random() < 0.5:
                zombies.append(owner)
            elif owner.running:
                owner.running.close()
            owner = SimulatedWorker(world)
    for zombie in zombies:
        for _ in range(world.chance.randint(0, 60)):
            zombie.advance()
        if zombie.running:
            zombie.running.close()
