"""One event on its way to Kafka, and how the edge writes times.

A record names its trace hash and not a partition: how many there are is known to the Kafka link alone.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
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


def rfc3339(at_ms: int) -> str:
    """Unix milliseconds as RFC 3339 in UTC, `2026-01-31T12:00:00.123Z`."""
    seconds, milliseconds = divmod(at_ms, 1000)
    return f"{_to_the_second(seconds)}.{milliseconds:03}Z"


@lru_cache(maxsize=64)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
