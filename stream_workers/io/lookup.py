"""Reads state from ClickHouse, for many traces or idempotency keys in one query.

The wanted values are sent as a table beside the query. That stays fast, while a parameter of as many values would not.
The journal stores each entry as a line of JSON, so the response is one JSON document, and the lines of a trace are
decoded directly into events.
"""

import struct
from collections import defaultdict
from collections.abc import Collection, Iterable

import msgspec
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.external import ExternalData

from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS
from stream_workers.join.claims import Claim
from stream_workers.join.incoming_events import Created, Deleted, Expired, StateInvalidated, Updated
from stream_workers.join.request_facts import RequestFact
from stream_workers.join.trace_state import Entry, HashBucket, fold

_ENTRIES = """
SELECT line FROM feedback.journal WHERE {condition}
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
SELECT workspace, idempotency_key, argMin(digest, _block_number)
FROM feedback.idempotency_keys
WHERE (workspace, idempotency_key) IN (SELECT w, k FROM wanted)
GROUP BY workspace, idempotency_key
"""
_LAST = f"""
SELECT maxOrNull(sequence) FROM (
    SELECT sequence FROM feedback.journal
    WHERE if(kind = 'request', '{REQUEST_LOGS}', '{FEEDBACK_EVENTS}') = {{topic:String}}
        AND kafka_partition = {{partition:UInt16}} AND sequence < {{below:UInt64}}
    UNION ALL SELECT sequence FROM feedback.dead_letters
    WHERE topic = {{topic:String}} AND kafka_partition = {{partition:UInt16}} AND sequence < {{below:UInt64}}
    UNION ALL SELECT sequence FROM feedback.erased_records
    WHERE topic = {{topic:String}} AND kafka_partition = {{partition:UInt16}} AND sequence < {{below:UInt64}}
    UNION ALL SELECT sequence FROM feedback.expired_records
    WHERE topic = {{topic:String}} AND kafka_partition = {{partition:UInt16}} AND sequence < {{below:UInt64}}
    UNION ALL SELECT toUInt64(end_sequence - 1) FROM feedback.lost_records
    WHERE topic = {{topic:String}} AND kafka_partition = {{partition:UInt16}} AND end_sequence <= {{below:UInt64}}
)
"""


class _Line(msgspec.Struct, array_like=True, gc=False):
    """One line of the journal, whose entry is not decoded yet."""

    trace_hash: int
    identity: str
    sequence: int
    entry: msgspec.Raw


_decode = msgspec.json.Decoder(list[_Line]).decode
_decode_entry = msgspec.json.Decoder(Created | Updated | Deleted | StateInvalidated | Expired | RequestFact).decode


class JournalStates:
    """The response of the journal for some trace hashes, from which their states are made, each once.

    Called with trace hashes it makes their states; the state of a hash without entries is empty. The response is
    decoded at the first call, because decoding is the work to be done in the computing thread.
    """

    def __init__(self, document: bytes) -> None:
        self._document: bytes | None = document
        self._lines: dict[int, list[_Line]] = defaultdict(list)

    def __call__(self, hashes: Collection[int]) -> dict[int, HashBucket]:
        lines = self._read()
        return {trace_hash: _folded(lines.pop(trace_hash, ())) for trace_hash in hashes}

    def entries(self, trace_hash: int) -> list[Entry]:
        """The journal's entries of one trace hash, until its state is asked for."""
        return _entries(self._read().get(trace_hash, ()))

    def all(self) -> dict[int, HashBucket]:
        """The state of every trace hash in the response."""
        return self(list(self._read()))

    def _read(self) -> dict[int, list[_Line]]:
        if self._document is not None:
            for line in _decode(self._document or b"[]"):
                self._lines[line.trace_hash].append(line)
            self._document = None
        return self._lines


def _folded(lines: Iterable[_Line]) -> HashBucket:
    return fold(_entries(lines))


def _entries(lines: Iterable[_Line]) -> list[Entry]:
    return [(_decode_entry(line.entry), line.identity, line.sequence) for line in lines]


async def fetch_entries(client: AsyncClient, hashes: Collection[int]) -> bytes:
    """The journal's entries of these hashes, as a document for JournalStates. Raises what the client raises."""
    wanted = ExternalData(
        file_name="wanted",
        data=struct.pack(f"<{len(hashes)}I", *hashes),
        fmt="RowBinary",
        structure=["h UInt32"],
    )
    query = entries_query("trace_hash IN (SELECT h FROM wanted)")
    return await client.raw_query(query, settings=AS_ONE_DOCUMENT, fmt="CustomSeparated", external_data=wanted)


def entries_query(condition: str) -> str:
    """A query for the journal's entries that meet the condition: run it with AS_ONE_DOCUMENT as CustomSeparated."""
    return _ENTRIES.replace("{condition}", condition)


async def fetch_claims(client: AsyncClient, claims: Collection[Claim]) -> dict[Claim, str]:
    """The digest of the call to which each of these keys belongs; a key that no call has claimed is missing.

    Of several claims to a key, the first counts. ClickHouse numbers blocks of rows in the order in which they become
    readable, so once a claim can be read no later claim changes the answer.
    """
    wanted = ExternalData(
        file_name="wanted",
        data=b"\n".join(map(msgspec.json.encode, claims)),
        fmt="JSONCompactEachRow",
        structure=["w String", "k String"],
    )
    result = await client.query(_CLAIMS, external_data=wanted)
    return {(workspace, key): digest for workspace, key, digest in result.result_rows}


async def last_stored(client: AsyncClient, topic: str, partition: int, below: int) -> int | None:
    """The highest sequence below `below` of a record that is stored, dead, erased or lost; None if there is none."""
    result = await client.query(_LAST, {"topic": topic, "partition": partition, "below": below})
    last = result.result_rows[0][0]
    return None if last is None else int(last)
