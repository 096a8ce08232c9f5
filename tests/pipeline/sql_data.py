"""A set of requests and feedback for the queries of docs/sql.md: what was sent, and what of it stands.

It goes through the pipeline: requests, new feedback, edits and deletes by HTTP; feedback of past weeks, which no
caller can date, as events on the topic. `DataSet` joins and groups it in plain Python, from what was sent alone.
"""

import asyncio
import random
import re
import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import requests
from aiokafka import AIOKafkaProducer

from schemas.events import FeedbackCreated
from schemas.ids import new_id, partition_of, trace_key
from schemas.murmur2 import murmur2
from schemas.topics import FEEDBACK_EVENTS
from tests.pipeline.engines import PARTITIONS
from tests.pipeline.running import Pipeline

SPECIALS = ("_user", "_organisation", "_prompt", "_environment")


@dataclass
class Given:
    """One feedback as its last event left it."""

    trace: str
    value: int
    weight: Decimal
    metadata: dict[str, Any]
    age: timedelta | None = None
    id: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def at(self) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=self.id.int >> 80)


@dataclass
class Served:
    """One request."""

    trace: str
    model: str
    at: datetime
    cost: float | None
    tokens: int | None
    metadata: dict[str, str]


@dataclass
class DataSet:
    """What was sent and still stands, and when that was."""

    tag: str
    now: datetime
    given: list[Given] = field(default_factory=list)
    served: list[Served] = field(default_factory=list)
    traces_ever: set[str] = field(default_factory=set)

    def requests_of(self, trace: str) -> list[Served]:
        return sorted((each for each in self.served if each.trace == trace), key=lambda each: each.at)

    def models(self, given: Given) -> list[str]:
        return sorted({each.model for each in self.requests_of(given.trace)})

    def special(self, given: Given, name: str) -> str:
        said = [given.metadata, *(each.metadata for each in self.requests_of(given.trace))]
        return next((metadata[name] for metadata in said if metadata.get(name)), "")

    def in_force(self, given: Given) -> tuple[str, ...]:
        return tuple(self.special(given, name) for name in SPECIALS)

    def last(self, days: float) -> list[Given]:
        return [each for each in self.given if each.at >= self.now - timedelta(days=days)]

    def by(self, name: str, days: float = 30) -> dict[str, list[Given]]:
        groups = grouped((self.special(each, name), each) for each in self.last(days))
        return {value: group for value, group in groups.items() if value}

    def by_trace(self) -> dict[str, list[Given]]:
        return grouped((each.trace, each) for each in self.given)


def invented(tag: str) -> DataSet:
    """Every special case once, and between them forty traces by chance."""
    chance, now = random.Random(11), datetime.now(UTC).replace(microsecond=0)
    data = DataSet(tag, now)

    def some_metadata(likely: float, people: int = 6) -> dict[str, Any]:
        drawn = {
            "_user": f"u{chance.randrange(people)}",
            "_organisation": f"o{chance.randrange(3)}",
            "_prompt": f"p{chance.randrange(4)}",
            "_environment": chance.choice(["production", "staging", "sandbox"]),
        }
        return {name: value for name, value in drawn.items() if chance.random() < likely}

    # No age is within hours of a bound that a query draws; None is feedback by HTTP, which is of this moment.
    ages = [None, timedelta(hours=2, minutes=30), *(timedelta(days=days) for days in (1.5, 3, 5, 9, 12, 20, 45))]
    for n in range(40):
        trace, age = f"{tag}-{n}", ages[n % len(ages)]
        for _ in range(chance.choice([0, 1, 1, 2, 3])):
            before = (age or timedelta()) + timedelta(milliseconds=chance.randrange(1, 10_000_000))
            cost, tokens = chance.choice([None, 0.25, 0.1, 1.7]), chance.choice([None, 120, 4000])
            model = f"model-{chance.randrange(4)}"
            data.served.append(Served(trace, model, now - before, cost, tokens, some_metadata(0.4)))
        for _ in range(chance.choice([0, 1, 2, 4, 6])):
            weight = Decimal(chance.choice(["0", "0.1", "0.25", "0.333333333", "1"]))
            metadata = some_metadata(0.5) | chance.choice(
                [{}, {"channel": "chat"}, {"channel": "mail", "n": [1]}, {"channel": 5}, {"channel": None}]
            )
            data.given.append(Given(trace, chance.randint(-10, 10), weight, metadata, age))

    zero, gone = f"{tag}-zero", f"{tag}-gone"
    for trace in (zero, gone):
        data.served.append(Served(trace, f"model-{trace[-4:]}", now - timedelta(hours=1), 0.5, 10, {}))
    only_here = {"_user": "u-zero", "_organisation": "o-zero", "channel": "zero"}
    data.given += [Given(zero, value, Decimal(0), only_here) for value in (-4, 4, -1)]
    data.given.append(Given(zero, 2, Decimal(0), {}, timedelta(days=16)))
    for count, user in ((3, "u-three"), (2, "u-two")):
        data.given += [Given(f"{tag}-few", -1, Decimal("0.5"), {"_user": user}) for _ in range(count)]
    data.given.append(Given(f"{tag}-lost", 3, Decimal(1), {}, ages[-1]))
    data.given.append(Given(gone, 9, Decimal(1), {"_organisation": "o-gone"}))
    chance.shuffle(data.served)
    chance.shuffle(data.given)
    data.traces_ever = {each.trace for each in data.given}
    return data


def send(pipeline: Pipeline, data: DataSet) -> None:
    """Send all of it, half of the requests after the feedback; then edit some feedback and delete some."""
    half = len(data.served) // 2
    log_requests(pipeline, data.served[:half])
    asyncio.run(produce(pipeline, [each for each in data.given if each.age], data.now))
    for each in data.given:
        if not each.age:
            each.id = uuid.UUID(pipeline.feedback(each.trace, each.value, float(each.weight), **each.metadata))
    log_requests(pipeline, data.served[half:])

    may_change = [each for each in data.given if not each.trace.endswith("-few")]
    for n, each in enumerate(may_change):
        if n % 7 == 0:
            each.value, each.metadata = -each.value, {"_prompt": "p-edited", "_user": "u0", "channel": "web"}
            change = {"value": each.value, "metadata": each.metadata}
            assert requests.put(f"{pipeline.url}/v1/feedback/{each.id}", json=change, timeout=30).ok
    doomed = [each for n, each in enumerate(may_change) if n % 9 == 4 or each.trace.endswith("-gone")]
    for each in doomed:
        assert requests.delete(f"{pipeline.url}/v1/feedback/{each.id}", timeout=30).ok
        data.given.remove(each)


def log_requests(pipeline: Pipeline, served: list[Served]) -> None:
    pipeline.post(
        "/v1/logs",
        [
            {
                "request": {"body": {"model": each.model}, "provider": "p"},
                "response": {"body": {"usage": {"total_tokens": each.tokens} if each.tokens else {}}},
                "metadata": {"trace_id": each.trace, **each.metadata},
                "start_time": each.at.isoformat(),
                "cost": each.cost,
            }
            for each in served
        ],
    )


async def produce(pipeline: Pipeline, old: list[Given], now: datetime) -> None:
    """Give each its id, and put on the topic what the edge would have published at the time."""
    producer = AIOKafkaProducer(bootstrap_servers=pipeline.engines.kafka, acks="all")
    await producer.start()
    try:
        for each in old:
            assert each.age
            key, at = trace_key("default", each.trace), now - each.age
            each.id = new_id(murmur2(key), int(at.timestamp() * 1000))
            event = created(each, at).model_dump_json(by_alias=True).encode()
            await producer.send_and_wait(FEEDBACK_EVENTS, event, key, partition_of(murmur2(key), PARTITIONS))
    finally:
        await producer.stop()


def narrowed(query: str, condition: str) -> str:
    """The query over the rows of its tables and views that meet a condition."""
    return re.sub(r"\bFROM (feedback\.\w+)", lambda found: f"FROM (SELECT * {found[0]} WHERE {condition})", query)


def created(given: Given, at: datetime) -> FeedbackCreated:
    environment = given.metadata.get("_environment", "")
    return FeedbackCreated(
        event="create",
        workspace="default",
        feedback_id=str(given.id),
        trace_id=given.trace,
        value=given.value,
        weight=float(given.weight),
        metadata=given.metadata,
        home_environment="other" if environment == "sandbox" else environment,
        created_at=at,
        **{name: given.metadata[name] for name in SPECIALS if name in given.metadata},
    )


def grouped(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return dict(sorted(groups.items()))


def total(group: list[Given]) -> Decimal:
    return sum((each.value * each.weight for each in group), Decimal(0))
