"""The records that an erasure sends to Kafka: deletes first, then tombstones and invalidations."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from operations.connections import CommandError
from operations.produce import OutgoingRecord, invalidation, send
from operations.progress import Progress
from runtime.kafka_offsets import committed_offsets, end_offsets, records_left
from runtime.times import rfc3339_of
from schemas import ids
from schemas.murmur2 import murmur2
from schemas.topics import AGGREGATES, FEEDBACK_EVENTS, INPUTS


async def delete_feedback(bootstrap: str, workspace: str, feedback: Iterable[str], progress: Progress) -> None:
    """Send a delete for each feedback, as the API does, to the partition that its id carries."""
    event = {"event": "delete", "workspace": workspace, "deleted_at": rfc3339_of(datetime.now(UTC))}
    records = [_event(each, event) for each in feedback]
    await send(bootstrap, records, "feedbacks deleted", progress)


async def unread_records(bootstrap: str, group: str, topics: Sequence[str] = INPUTS) -> int:
    """How many present records of the topics the group has not committed yet."""
    return records_left(await end_offsets(bootstrap, topics), await committed_offsets(bootstrap, group, topics))


async def wait_until_committed(
    bootstrap: str,
    group: str,
    patience_s: float,
    progress: Progress,
    topics: Sequence[str] = INPUTS,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Return when the group has committed all present records of the topics, so that it reads none of them again.

    CommandError when it has made no progress for `patience_s` seconds.
    """
    ends = await end_offsets(bootstrap, topics)
    left, moved = sum(ends.values()), clock()
    with progress.step(f"records seen by {group}", left) as advance:
        while True:
            committed = await committed_offsets(bootstrap, group, topics)
            now = records_left(ends, committed)
            if now < left:
                advance(left - now)
                left, moved = now, clock()
            if not left:
                return
            if clock() - moved > patience_s:
                raise CommandError(
                    f"the programs of {group} have made no progress for {patience_s:g} s, {left:,} records before the"
                    " end: see that they run, then run this again"
                )
            await asyncio.sleep(0.2)


async def invalidate(
    bootstrap: str,
    workspace: str,
    gone: Mapping[str, int],
    changed: Iterable[str],
    identities: Iterable[str],
    progress: Progress,
) -> None:
    """Send tombstones for traces that are gone, with versions above their last; and invalidations, which make the
    workers read again the state of these traces, of traces that changed, and of the traces of these ids."""
    hashes = {murmur2(ids.trace_key(workspace, trace)) for trace in (*gone, *changed)}
    hashes |= {_hash(each) for each in identities}
    invalidations = [invalidation(workspace, trace_hash) for trace_hash in hashes]
    tombstones = [_tombstone(ids.trace_key(workspace, trace), version) for trace, version in gone.items()]
    await send(bootstrap, invalidations + tombstones, "invalidations and tombstones sent", progress)


def _event(feedback_id: str, event: Mapping[str, str]) -> OutgoingRecord:
    value = msgspec.json.encode({**event, "feedback_id": feedback_id})
    return OutgoingRecord(FEEDBACK_EVENTS, _hash(feedback_id), feedback_id.encode(), value)


def _tombstone(key: bytes, version: int) -> OutgoingRecord:
    return OutgoingRecord(AGGREGATES, murmur2(key), key, None, [("version", b"%d" % (version + 1))])


def _hash(identity: str) -> int:
    return int(identity[24:32], 16)
