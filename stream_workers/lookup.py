"""Reading the join's state back from ClickHouse: the journal entries of many trace hashes in one query.

The hashes travel as a table beside the query, which stays fast where a parameter of as many numbers would not.
"""

import io
import struct
from collections import defaultdict
from collections.abc import Collection
from typing import Any

import msgspec
import pyarrow as pa
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.external import ExternalData

from schemas import topics
from stream_workers.decode import FeedbackEvent, Forgotten, read
from stream_workers.facts import RequestFact
from stream_workers.state import Bucket, fold

_ENTRIES = """
SELECT trace_hash, kind = 'request' AS is_request, toString(id) AS id, sequence, entry
FROM feedback.trace_journal
WHERE trace_hash IN (SELECT h FROM wanted)
"""
_SETTINGS = {"output_format_arrow_string_as_string": 0, "output_format_arrow_compression_method": "none"}
_read_fact = msgspec.json.Decoder(RequestFact).decode


async def fetch_buckets(client: AsyncClient, hashes: Collection[int]) -> dict[int, Bucket]:
    """The stored state of each hash, an empty bucket where nothing is stored. Raises what the client raises."""
    wanted = ExternalData(
        file_name="wanted",
        data=struct.pack(f"<{len(hashes)}I", *hashes),
        fmt="RowBinary",
        structure=["h UInt32"],
    )
    body = await client.raw_query(_ENTRIES, settings=_SETTINGS, fmt="ArrowStream", external_data=wanted)
    return _buckets(hashes, body)


def _buckets(hashes: Collection[int], body: bytes) -> dict[int, Bucket]:
    entries: dict[int, list[tuple[FeedbackEvent | Forgotten | RequestFact, str, int]]] = defaultdict(list)
    if body:
        table = pa.ipc.open_stream(io.BytesIO(body)).read_all()
        for trace_hash, is_request, identity, sequence, entry in zip(
            *(table.column(i).to_pylist() for i in range(table.num_columns)), strict=True
        ):
            event: Any = _read_fact(entry) if is_request else read(topics.FEEDBACK_EVENTS, entry)
            entries[trace_hash].append((event, identity.decode(), sequence))
    return {trace_hash: fold(entries[trace_hash]) if trace_hash in entries else Bucket() for trace_hash in hashes}
