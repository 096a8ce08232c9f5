"""The record of one event on its way to Kafka, and the outcome of a valid call.

A record has the hash of its trace and no partition: only the producer connection knows how many partitions there are.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from ingest_api.access.idempotency import Claim

# Roughly the memory that a record takes beside its value.
OVERHEAD_BYTES = 200


class EventRecord(msgspec.Struct, gc=False):
    """An event as a Kafka record. `at_ms` is its time in Unix milliseconds."""

    topic: str
    trace_hash: int
    key: bytes
    value: bytes
    at_ms: int


class Accepted(NamedTuple):
    """The outcome of a valid call: ids in input order, records to publish, trace ids to return, and its key's claim.

    A call that is taken in part has its own `answer`, and `left_out` counts what of it is not published, by outcome.
    `feedback` counts records that are feedback where the others are not.
    """

    ids: list[str]
    records: list[EventRecord]
    trace_ids: Sequence[str] = ()
    claim: Claim | None = None
    answer: bytes | None = None
    left_out: Mapping[str, int] = MappingProxyType({})
    feedback: int = 0
