"""What an erasure says on Kafka: deletes, and once rows are removed, tombstones and notices to the workers."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec
from aiokafka import AIOKafkaProducer

from deploy.engines import CommandError
from deploy.offsets import committed_offsets, end_offsets
from schemas import ids
from schemas.murmur2 import murmur2
from schemas.topics import AGGREGATES, FEEDBACK_EVENTS, INPUTS


async def delete(bootstrap: str, workspace: str, feedback: Iterable[str]) -> None:
    """Delete feedback as anyone would, each in the partition that its id carries."""
    at = datetime.now(UTC).isoformat()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        partitions = len(await producer.partitions_for(FEEDBACK_EVENTS))
        for each in feedback:
            event = {"event": "delete", "workspace": workspace, "feedback_id": each, "deleted_at": at}
            partition = ids.partition_of(_hash(each), partitions)
            value = msgspec.json.encode(event)
            await producer.send_and_wait(FEEDBACK_EVENTS, value, key=each.encode(), partition=partition)
    finally:
        await producer.stop()


async def until_committed(bootstrap: str, group: str, patience_s: float) -> None:
    """Return when the workers have committed all that the input topics hold now: none of it will be read again."""
    ends = await end_offsets(bootstrap, INPUTS)
    deadline = time.monotonic() + patience_s
    while True:
        committed = await committed_offsets(bootstrap, group, INPUTS)
        if all(committed.get(place, 0) >= end for place, end in ends.items()):
            return
        if time.monotonic() > deadline:
            raise CommandError(
                f"the workers of {group} have not caught up within {patience_s:g} s: see that they run, and erase again"
            )
        await asyncio.sleep(0.2)


async def tell(
    bootstrap: str, workspace: str, gone: Mapping[str, int], changed: Iterable[str], identities: Iterable[str]
) -> None:
    """Tombstones for traces that are gone, above the versions they had; and a notice to the workers for each of these,
    for each trace that changed, and for the traces of these ids."""
    at_ms = time.time_ns() // 1_000_000
    at = datetime.now(UTC).isoformat()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        partitions = len(await producer.partitions_for(FEEDBACK_EVENTS))
        hashes = {murmur2(ids.trace_key(workspace, trace)) for trace in (*gone, *changed)}
        hashes |= {_hash(each) for each in identities}
        for trace_hash in hashes:
            notice_id = str(ids.new_id(trace_hash, at_ms))
            notice = {
                "event": "forget",
                "workspace": workspace,
                "feedback_id": notice_id,
                "forgotten_at": at,
            }
            partition = ids.partition_of(trace_hash, partitions)
            await producer.send_and_wait(
                FEEDBACK_EVENTS, msgspec.json.encode(notice), key=notice_id.encode(), partition=partition
            )
        for trace, version in gone.items():
            key = ids.trace_key(workspace, trace)
            await producer.send_and_wait(
                AGGREGATES,
                None,
                key=key,
                partition=ids.partition_of(murmur2(key), partitions),
                headers=[("version", b"%d" % (version + 1))],
            )
    finally:
        await producer.stop()


def _hash(identity: str) -> int:
    return int(identity[24:32], 16)
