"""The stages of a consumer batch run in one order only, and calls to engines that fail are repeated."""

import asyncio
import json
from collections.abc import Callable, Collection
from typing import Any, TypeVar
from unittest.mock import patch

import pyarrow as pa
import pytest
from aiokafka.structs import ConsumerRecord
from faust.types import TP

from schemas import ids, topics
from schemas.murmur2 import murmur2
from stream_workers.batches import process_batch
from stream_workers.batches.dead_letter_share import DeadShare, TooManyDeadError
from stream_workers.batches.offset_progress import AssignmentProgress, BatchAbandoned, ConsumerBatch
from stream_workers.batches.process_batch import StoredStates
from stream_workers.batches.processor import Processor
from stream_workers.io.lookup import JournalStates
from stream_workers.io.output_messages import OutputMessage
from stream_workers.io.retry import Backoff
from stream_workers.join.claims import Claim
from stream_workers.join.trace_cache import BYTES_PER_ENTRY, TraceCache

Result = TypeVar("Result")


class Engines:
    """Engines that record their calls; each call fails as often as it is set to."""

    def __init__(self, **failures: int) -> None:
        self.failures = failures
        self.calls: list[str] = []
        self.rows: dict[str, pa.Table] = {}
        self.last: int | None = None

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.failures.get(name, 0) > 0:
            self.failures[name] -= 1
            raise ConnectionError(f"{name} is away")

    async def fetch(self, hashes: set[int]) -> StoredStates:
        self._call("fetch")
        return JournalStates(b"[]")

    async def fetch_claims(self, claims: Collection[Claim]) -> dict[Claim, str]:
        self._call("fetch_claims")
        return {}

    async def last_stored(self, topic: str, partition: int, below: int) -> int | None:
        self._call("last_stored")
        return self.last

    async def store(self, rows: dict[str, pa.Table]) -> None:
        self._call("store")
        self.rows = rows

    async def publish(self, batch: list[OutputMessage]) -> None:
        self._call("publish")


class Clock:
    """Counts the seconds somebody would have slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def created(trace_id: str, at_ms: int) -> dict[str, Any]:
    return {
        "event": "create", "workspace": "w", "trace_id": trace_id, "value": 1, "weight": 1, "metadata": {},
        "created_at": "2026-11-22T21:43:29.406Z",
        "feedback_id": str(ids.new_id(murmur2(ids.trace_key("w", trace_id)), at_ms)),
    }  # fmt: skip


def batch(n: int = 1) -> ConsumerBatch:
    return one_batch([created("t", i) for i in range(n)])


def batch_of_traces(n: int) -> ConsumerBatch:
    """A batch of one feedback on each of so many traces."""
    return one_batch([created(f"t{i}", i) for i in range(n)])


def one_batch(events: list[dict[str, Any]]) -> ConsumerBatch:
    values = [json.dumps(event).encode() for event in events]
    records = [ConsumerRecord(topics.FEEDBACK_EVENTS, 0, i, 0, 0, b"", v, None, 0, 0, ()) for i, v in enumerate(values)]
    return batch_of(records)


def batch_of(records: list[ConsumerRecord]) -> ConsumerBatch:
    progress = AssignmentProgress()
    progress.gather({TP(topics.FEEDBACK_EVENTS, 0): records})
    return progress.take_batch()


def processor(engines: Engines, cache: TraceCache | None = None, clock: Clock | None = None) -> Processor:
    backoff = Backoff(first=1, most=4, sleep=(clock or Clock()).sleep)
    return Processor(engines, cache or TraceCache(1_000_000), lambda _: False, backoff=backoff)


async def run_stages(processor: Processor, batch: ConsumerBatch) -> None:
    """Run all stages of one batch, with no other batch in flight."""
    await processor.complete(await processor.join(await processor.look_up(batch, no_earlier_batches)))


async def no_earlier_batches() -> None:
    pass


async def test_a_batch_is_complete_only_after_its_rows_are_stored_and_then_its_messages_acknowledged() -> None:
    engines = Engines()
    await run_stages(processor(engines), batch())
    assert engines.calls == ["fetch", "store", "publish"]
    assert set(engines.rows) == {"journal", "feedback_rows", "trace_aggregate_rows"}


@pytest.mark.parametrize("engine", ["fetch", "store", "publish"])
async def test_a_call_to_an_engine_that_is_away_is_repeated_in_place_with_growing_pauses(engine: str) -> None:
    engines, clock = Engines(**{engine: 4}), Clock()
    await run_stages(processor(engines, clock=clock), batch())
    assert engines.calls.count(engine) == 5
    assert clock.slept == [1, 2, 4, 4]
    assert [call for i, call in enumerate(engines.calls) if call not in engines.calls[:i]] == [
        "fetch", "store", "publish",
    ]  # fmt: skip


async def test_of_a_batch_with_too_many_dead_letters_nothing_is_stored_or_published() -> None:
    engines = Engines()
    mine = Processor(engines, TraceCache(1_000_000), lambda _: False, dead_share=DeadShare(0.5))
    await run_stages(mine, batch(60))
    done = list(engines.calls)
    unreadable = [{"event": "newer than this version"}] * 200
    with pytest.raises(TooManyDeadError):
        await run_stages(mine, one_batch([created("t", 1000), *unreadable]))
    assert set(engines.calls[len(done) :]) <= {"fetch"}


async def test_a_state_cached_under_one_assignment_is_read_again_under_the_next() -> None:
    engines = Engines()
    mine, first = processor(engines), batch()
    await run_stages(mine, first)
    await run_stages(mine, ConsumerBatch(first.partitions, first.assignment + 1))
    assert engines.calls.count("fetch") == 2, "another worker may have moved the trace on meanwhile"


async def test_a_trace_just_handled_needs_no_second_look_up() -> None:
    engines, cache = Engines(), TraceCache(1_000_000)
    work = processor(engines, cache)
    await run_stages(work, batch())
    await run_stages(work, batch())
    assert engines.calls.count("fetch") == 1


class Assignments:
    """A worker whose assignment ends when it next waits for an engine that is away, or at `end`."""

    def __init__(self, engines: Engines) -> None:
        self.engines, self.number = engines, batch().assignment
        backoff = Backoff(sleep=self._end)
        self.processor = Processor(
            engines, TraceCache(1_000_000), lambda each: each.assignment != self.number, backoff=backoff
        )

    async def run_stages(self, given: ConsumerBatch) -> None:
        await run_stages(self.processor, ConsumerBatch(given.partitions, self.number))

    def end(self) -> None:
        self.number += 1

    async def _end(self, _: float) -> None:
        self.end()
        self.engines.failures.clear()


@pytest.mark.parametrize("engine", ["fetch", "store", "publish"])
async def test_a_batch_whose_assignment_ends_is_abandoned_and_its_states_are_not_used_by_the_next(
    engine: str,
) -> None:
    engines = Engines()
    work = Assignments(engines)
    await work.run_stages(batch())
    work.end()
    engines.failures[engine] = 1
    with pytest.raises(BatchAbandoned):
        await work.run_stages(batch(2))
    engines.calls.clear()
    await work.run_stages(batch(2))
    assert engines.calls == ["fetch", "store", "publish"]
    assert engines.rows["feedback_rows"].num_rows == 2, "the states that the abandoned batch has changed are not used"


async def test_an_assignment_that_ends_during_a_successful_call_still_ends_the_batch() -> None:
    class EndsWhilePublishing(Engines):
        async def publish(self, batch: list[OutputMessage]) -> None:
            work.end()

    work = Assignments(EndsWhilePublishing())
    with pytest.raises(BatchAbandoned):
        await work.run_stages(batch())


async def test_a_computation_that_ends_after_its_assignment_leaves_nothing_to_the_next() -> None:
    release, number, given = asyncio.Event(), batch().assignment, batch()

    async def hold_until_released(work: Callable[[], Result]) -> Result:
        result = work()
        await release.wait()
        return result

    engines = Engines()
    work = Processor(
        engines, TraceCache(1_000_000), lambda each: each.assignment != number, compute=hold_until_released
    )
    release.set()
    found = await work.look_up(given, no_earlier_batches)
    release.clear()
    late = asyncio.create_task(work.join(found))
    await asyncio.sleep(0)
    number += 1
    again = asyncio.create_task(work.look_up(ConsumerBatch(given.partitions, number), no_earlier_batches))
    await asyncio.sleep(0)
    release.set()
    with pytest.raises(BatchAbandoned):
        await late
    await work.complete(await work.join(await again))
    assert engines.rows["feedback_rows"].num_rows == 1, "it is stored by whom it was read again"


async def test_the_next_batch_is_decoded_and_looked_up_while_one_is_joined() -> None:
    thread = asyncio.Lock()

    async def one_after_the_other(work: Callable[[], Result]) -> Result:
        async with thread:
            await asyncio.sleep(0)
            return work()

    work = Processor(Engines(), TraceCache(1_000_000), lambda _: False, compute=one_after_the_other)
    with patch.object(process_batch, "CHUNK_EVENTS", 1), patch.object(process_batch, "YIELD_EVERY_EVENTS", 1):
        joining = asyncio.create_task(work.join(await work.look_up(batch_of_traces(10), no_earlier_batches)))
        looking_up = asyncio.create_task(work.look_up(batch_of_traces(10), no_earlier_batches))
        await asyncio.wait([joining, looking_up], return_when=asyncio.FIRST_COMPLETED)
        assert looking_up.done()
        assert not joining.done()
        await joining


async def test_an_invalidation_makes_the_next_look_ups_read_stored_state_again() -> None:
    engines, cache = Engines(), TraceCache(1_000_000)
    work = processor(engines, cache)
    await run_stages(work, batch())
    invalidation = {
        "event": "forget", "workspace": "w", "feedback_id": str(ids.new_id(0, 0)),
        "forgotten_at": "2026-11-22T21:43:29.406Z",
    }  # fmt: skip
    await run_stages(work, one_batch([invalidation]))
    assert set(engines.rows) == {"journal"}
    await run_stages(work, batch())
    assert engines.calls.count("fetch") == 3


async def test_the_cache_evicts_the_least_recently_used_beyond_its_capacity() -> None:
    cache = TraceCache(capacity=2 * (100 + BYTES_PER_ENTRY))
    encoded = bytes(100)
    cache.put({0: encoded, 1: encoded})
    cache.put({0: encoded})
    cache.put({2: encoded})
    assert set(cache.get([0, 1, 2])) == {0, 2}


async def test_a_cache_that_fills_has_smaller_traces_compressed() -> None:
    cache = TraceCache(capacity=40 * (100 + BYTES_PER_ENTRY))
    before = cache.compress_from
    cache.put({n: bytes(100) for n in range(4)})
    assert cache.compress_from == before
    cache.put({n: bytes(100) for n in range(4, 6)})
    assert cache.compress_from < before


async def test_the_newest_trace_stays_cached_however_large_or_each_batch_would_read_it_again() -> None:
    cache = TraceCache(capacity=1000)
    cache.put({0: bytes(100)})
    cache.put({1: bytes(2000)})
    assert set(cache.get([0, 1])) == {1}


@pytest.mark.parametrize("odd", ["9" * 5000, "[" * 900 + "]" * 900])
async def test_metadata_too_odd_to_be_compared_is_a_dead_letter_and_no_end_of_the_worker(odd: str) -> None:
    engines = Engines()
    work, first = processor(engines), batch()
    await run_stages(work, first)
    event = json.loads(first.partitions[0].records[0].value)
    value = json.dumps(event | {"metadata": "odd"}).replace('"odd"', f'{{"n": {odd}}}').encode()
    record = ConsumerRecord(topics.FEEDBACK_EVENTS, 0, 1, 0, 0, b"", value, None, 0, 0, ())
    await run_stages(work, batch_of([record]))
    assert set(engines.rows) == {"dead_letters"}


def lost_before(first: int | None, end: int) -> ConsumerBatch:
    """A batch of one record, before which the log has lost the records between these offsets."""
    progress = AssignmentProgress()
    place = TP(topics.FEEDBACK_EVENTS, 0)
    progress.begin(place, first, end)
    value = json.dumps(created("t", 1)).encode()
    progress.gather({place: [ConsumerRecord(topics.FEEDBACK_EVENTS, 0, end, 0, 0, b"", value, None, 0, 0, ())]})
    return progress.take_batch()


async def test_lost_records_are_stored_before_anything_that_follows_them(caplog: pytest.LogCaptureFixture) -> None:
    engines = Engines(store=2)
    await processor(engines).look_up(lost_before(3, 42), no_earlier_batches)
    assert engines.calls == ["store", "store", "store", "fetch"], "tried until it is stored"
    (row,) = engines.rows["lost_records"].to_pylist()
    assert (row["first_sequence"], row["end_sequence"]) == (3, 42)
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "39 records of feedback.events.v1/0 were gone from Kafka" in line.getMessage()


@pytest.mark.parametrize(("last", "first"), [(None, 0), (2, 3), (41, None)])
async def test_where_nothing_was_committed_lost_records_begin_after_the_last_stored_one(
    last: int | None, first: int | None
) -> None:
    engines = Engines()
    engines.last = last
    await processor(engines).look_up(lost_before(None, 42), no_earlier_batches)
    rows = engines.rows["lost_records"].to_pylist() if engines.rows else []
    assert [row["first_sequence"] for row in rows] == ([] if first is None else [first])
