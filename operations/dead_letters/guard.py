"""Decides which dead letters may be redriven: none that would undo a later change of its feedback.

The decision rests on the bytes of the letter as a worker reads them. A create or a request changes nothing if its id is
known already, so it may always be redriven. Any other letter, and the create of a vote, may be a change of the feedback
that it names, even if it cannot be read. It is left if an event of that feedback came later, stored or still waiting
for a worker.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from aiokafka import TopicPartition
from clickhouse_connect.driver.client import Client

from operations.connections import kafka, offset_base
from operations.dead_letters.letters import Letter
from runtime.kafka_consumer import started_consumer
from runtime.kafka_offsets import committed_offsets, end_offsets
from schemas.events import ID_PATTERN
from schemas.topics import FEEDBACK_EVENTS
from stream_workers.join.decode import InvalidEventError, decode, decode_event
from stream_workers.join.incoming_events import Created, StateInvalidated

_LATEST = """
SELECT toString(id), max(sequence) FROM feedback.journal
WHERE kind = 'feedback' AND trace_hash IN {hashes:Array(UInt32)} AND id IN {ids:Array(UUID)} GROUP BY id
"""
_AT_ONCE = 1000


def changed_feedback_id(letter: Letter) -> str | None:
    """The id of the feedback that the letter may change; None where redriving it changes nothing that is stored."""
    if letter.topic != FEEDBACK_EVENTS:
        return None
    try:
        event = decode_event(letter.topic, letter.value)
    except InvalidEventError:
        return letter.feedback_id if re.fullmatch(ID_PATTERN, letter.feedback_id) else None
    changes_nothing = isinstance(event, StateInvalidated) or (isinstance(event, Created) and not event.replaces)
    return None if changes_nothing else event.feedback_id


def outdated_letters(letters: Iterable[Letter], latest: Mapping[str, int]) -> dict[Letter, str]:
    """The letters that would undo a later event, and the feedback ids. `latest`: the sequence of its last event."""
    changes = {each: feedback for each in letters if (feedback := changed_feedback_id(each))}
    return {each: feedback for each, feedback in changes.items() if latest.get(feedback, -1) > each.sequence}


def latest_events(
    client: Client, bootstrap: str, group: str, given_base: int | None, letters: Sequence[Letter]
) -> dict[str, int]:
    """The sequence of the last event of each feedback that these letters may change. CommandError if Kafka is away."""
    changes = {each: feedback for each in letters if (feedback := changed_feedback_id(each))}
    if not changes:
        return {}
    base = offset_base(client, given_base)
    after: dict[int, int] = {}
    for letter in changes:
        offset = max(0, letter.sequence + 1 - base)
        after[letter.partition] = min(after.get(letter.partition, offset), offset)
    wanted = set(changes.values())
    # Waiting records are read first: those that a worker stores meanwhile are then found in the journal.
    latest = kafka(bootstrap, _latest_pending(bootstrap, group, after, base, wanted))
    for feedback, sequence in _latest_stored(client, sorted(wanted)):
        latest[feedback] = max(latest.get(feedback, 0), sequence)
    return latest


def _latest_stored(client: Client, feedback: Sequence[str]) -> Iterable[tuple[str, int]]:
    for start in range(0, len(feedback), _AT_ONCE):
        ids = feedback[start : start + _AT_ONCE]
        rows = client.query(_LATEST, {"ids": ids, "hashes": [int(each[24:32], 16) for each in ids]}).result_rows
        yield from ((row[0], int(row[1])) for row in rows)


async def _latest_pending(
    bootstrap: str, group: str, after: Mapping[int, int], base: int, wanted: Collection[str]
) -> dict[str, int]:
    """The sequence of the last unprocessed event of each wanted feedback; `after` has the first offset by partition."""
    committed = await committed_offsets(bootstrap, group, [FEEDBACK_EVENTS])
    ends = await end_offsets(bootstrap, [FEEDBACK_EVENTS])
    starts = {
        TopicPartition(FEEDBACK_EVENTS, p): max(o, committed.get((FEEDBACK_EVENTS, p), 0)) for p, o in after.items()
    }
    left = {place for place, start in starts.items() if start < ends.get(place, 0)}
    found: dict[str, int] = {}
    if not left:
        return found
    async with started_consumer(bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign(list(left))
        for place in left:
            consumer.seek(place, starts[place])
        while left:
            for records in (await consumer.getmany(*left, timeout_ms=100)).values():
                arrivals, _ = decode(records, base)
                found |= {each.identity: each.sequence for each in arrivals if each.identity in wanted}
            left = {place for place in left if await consumer.position(place) < ends[place]}
    return found
