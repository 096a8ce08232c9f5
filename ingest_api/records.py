"""One event on its way to Kafka, and how the edge writes times.

A record names its trace hash and not a partition: how many there are is known to the Kafka link alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ingest_api.access.idempotency import Claim

# What a record costs in memory beside its value, roughly.
OVERHEAD_BYTES = 200


class Record(msgspec.Struct, gc=False):
    """An event as Kafka takes it. `at_ms` is its time in Unix milliseconds."""

    topic: str
    trace_hash: int
    key: bytes
    value: bytes
    at_ms: int


class Accepted(NamedTuple):
    """What a valid call comes to: its ids in input order, the records to publish, trace ids to tell, and its key."""

    ids: list[str]
    records: list[Record]
    trace_ids: Sequence[str] = ()
    claim: Claim | None = None
