"""Reading state back from ClickHouse, for many traces or idempotency keys in one query.

What is wanted travels as a table beside the query, which stays fast where a parameter of as many values would not.
The entries of the journal are JSON already, so the answer is one JSON document that is decoded straight into events.
"""

import struct
from collections import defaultdict
from collections.abc import Collection

import msgspec
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.external import ExternalData

from stream_workers.decode import Created, Deleted, Forgotten, Updated
from stream_workers.facts import RequestFact
from stream_workers.join import Claim
from stream_workers.state import Bucket, Entry, fold

_ENTRIES = """
SELECT concat('[', toString(trace_hash), ',"', toString(id), '",', toString(sequence), ',', entry, ']')
FROM feedback.trace_journal
WHERE {condition}
"""
AS_ONE_DOCUMENT = {
    "format_custom_escaping_rule": "Raw",
    "format_custom_result_before_delimiter": "[",
    "format_custom_row_before_delimiter": "",
    "format_custom_row_between_delimiter": ",",
    "format_custom_row_after_delimiter": "",
    "format_custom_result_after_delimiter": "]",
}
_CLAIMS = """
SELECT workspace, idempotency_key, argMin(digest, (claimed_at, digest))
FROM feedback.idempotency_claims
WHERE (workspace, idempotency_key) IN (SELECT w, k FROM wanted)
GROUP BY workspace, idempotency_key
"""


class _Line(msgspec.Struct, array_like=True, gc=False):
    """One entry of the journal."""

    trace_hash: int
    identity: str
    sequence: int
    entry: Created | Updated | Deleted | Forgotten | RequestFact


_decode = msgspec.json.Decoder(list[_Line]).decode


async def fetch_entries(client: AsyncClient, hashes: Collection[int]) -> bytes:
    """All that the journal holds of these hashes, as one document for `buckets_of`. Raises what the client raises."""
    wanted = ExternalData(
        file_name="wanted",
        data=struct.pack(f"<{len(hashes)}I", *hashes),
        fmt="RowBinary",
        structure=["h UInt32"],
    )
    query = entries_query("trace_hash IN (SELECT h FROM wanted)")
    return await client.raw_query(query, settings=AS_ONE_DOCUMENT, fmt="CustomSeparated", external_data=wanted)


def entries_query(condition: str) -> str:
    """Entries of the journal that meet the condition, to be asked AS_ONE_DOCUMENT in the format CustomSeparated."""
    return _ENTRIES.replace("{condition}", condition)


def buckets_of(hashes: Collection[int], document: bytes) -> dict[int, Bucket]:
    """What the journal's answer amounts to, for each of these hashes."""
    found = fold_document(document)
    return {trace_hash: found.get(trace_hash) or Bucket() for trace_hash in hashes}


def fold_document(document: bytes) -> dict[int, Bucket]:
    """What the journal's answer amounts to, by trace hash."""
    entries: dict[int, list[Entry]] = defaultdict(list)
    for line in _decode(document or b"[]"):
        entries[line.trace_hash].append((line.entry, line.identity, line.sequence))
    return {trace_hash: fold(of_trace) for trace_hash, of_trace in entries.items()}


async def fetch_claims(client: AsyncClient, claims: Collection[Claim]) -> dict[Claim, str]:
    """The digest under which each of these keys was first used; those never used are left out."""
    wanted = ExternalData(
        file_name="wanted",
        data=b"\n".join(map(msgspec.json.encode, claims)),
        fmt="JSONCompactEachRow",
        structure=["w String", "k String"],
    )
    result = await client.query(_CLAIMS, external_data=wanted)
    return {(workspace, key): digest for workspace, key, digest in result.result_rows}
