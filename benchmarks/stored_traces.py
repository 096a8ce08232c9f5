"""Traces that have long been stored: one request each, in the journal and in the request logs, made inside ClickHouse.

What a worker would have stored of them, ids with their trace hash included, but at millions of rows in seconds. A trace
is called after its number, so that anyone can give feedback on it.
"""

from typing import Any
from uuid import UUID

import clickhouse_connect
import msgspec

from benchmarks.engines import PARTITIONS, Engines
from benchmarks.events import WORKSPACE, Clock
from schemas import ids
from schemas.murmur2 import murmur2
from stream_workers.join.request_facts import RequestFact

BLOCK = 1_000_000
_PREFIX = "stored-"
_SEED, _M = 0x9747B28C, 0x5BD1E995
_TOKEN = "TRACE-ID"


def name_of(number: int) -> str:
    """The trace id of the stored trace with this number, below 10^9."""
    return f"{_PREFIX}{number:09}"


def load(found: Engines, first: int, count: int) -> None:
    """Store the traces numbered from `first` on. RuntimeError if ClickHouse hashes a key otherwise than we do."""
    client: Any = clickhouse_connect.get_client(dsn=found.clickhouse, send_receive_timeout=600)
    _check(client, first)
    at = Clock.now()
    for start in range(first, first + count, BLOCK):
        rows = _rows(start, min(BLOCK, first + count - start), at)
        client.command(f"INSERT INTO feedback.journal {_JOURNAL.format(rows=rows, entry=_entry(at))}")
        client.command(f"INSERT INTO feedback.request_log_rows {_LOGS.format(rows=rows)}")


def settle(found: Engines) -> None:
    """Merge what was loaded, so that no merge of it runs while something is measured."""
    client: Any = clickhouse_connect.get_client(dsn=found.clickhouse, send_receive_timeout=600)
    for table in ("journal", "request_log_rows"):
        client.command(f"OPTIMIZE TABLE feedback.{table}")


_ID = """
toUUID(concat(
    substring(at_hex, 1, 8), '-', substring(at_hex, 9, 4), '-8', substring(chance, 1, 3), '-8', substring(chance, 4, 3),
    '-', leftPad(lower(hex(trace_hash)), 8, '0'), substring(chance, 7, 4)
))
"""
_JOURNAL = """
(trace_hash, kind, id, sequence, kafka_partition, recorded_at, line)
SELECT trace_hash, 'request', id, number, partition, fromUnixTimestamp64Milli(at_ms),
    concat('[', toString(trace_hash), ',"', toString(id), '",', toString(number), ',', {entry}, ']')
FROM ({rows})
"""
_LOGS = """
(workspace, request_id, trace_id, started_at, received_at, provider, model, method, status, total_tokens, _user,
 metadata, request_body, response_body, sequence)
SELECT workspace, id, trace_id, fromUnixTimestamp64Milli(at_ms), fromUnixTimestamp64Milli(at_ms), 'openai', model,
    'post', 200, 57, user, concat('{{"_user": "', user, '"}}'), concat('{{"model": "', model, '"}}'), '{{}}', number
FROM ({rows})
"""


def _rows(first: int, count: int, at: Clock) -> str:
    return f"""
    WITH {murmur2_sql(len(WORKSPACE) + 1 + len(name_of(0)))}
    SELECT number, '{WORKSPACE}' AS workspace, {_trace_id_sql()} AS trace_id, concat(workspace, '/', trace_id) AS key,
        trace_hash, bitAnd(trace_hash, 0x7fffffff) % {PARTITIONS} AS partition,
        toInt64({at.ms}) AS at_ms, lower(hex(toUInt64({at.ms}))) AS at_hex,
        leftPad(lower(hex(cityHash64(number))), 16, '0') AS chance, {_ID} AS id,
        concat('model-', toString(number % 5)) AS model, concat('u', toString(number % 1000)) AS user
    FROM numbers({first}, {count})
    """


def _trace_id_sql() -> str:
    return f"concat('{_PREFIX}', leftPad(toString(number), 9, '0'))"


def _entry(at: Clock) -> str:
    """What a worker writes of such a request, as SQL."""
    fact = RequestFact(WORKSPACE, _TOKEN, at.ms, "openai", f"{_TOKEN}-model", f"{_TOKEN}-user")
    text = msgspec.json.encode(fact).decode()
    for token, column in ((f"{_TOKEN}-model", "model"), (f"{_TOKEN}-user", "user"), (_TOKEN, "trace_id")):
        text = text.replace(token, f"', {column}, '")
    return f"concat('{text}')"


def murmur2_sql(length: int) -> str:
    """Aliases ending in `trace_hash`: Kafka's murmur2 of `key`, whose length in bytes is a multiple of four."""
    assert length % 4 == 0, "the last bytes of other lengths are hashed otherwise"
    steps, before = [], str(_SEED ^ length)
    for i in range(length // 4):
        steps += [
            f"toUInt32(reinterpretAsUInt32(substring(key, {4 * i + 1}, 4)) * {_M}) AS a{i}",
            f"toUInt32(bitXor(a{i}, bitShiftRight(a{i}, 24)) * {_M}) AS b{i}",
            f"bitXor(toUInt32({before} * {_M}), b{i}) AS c{i}",
        ]
        before = f"c{i}"
    steps.append(f"toUInt32(bitXor({before}, bitShiftRight({before}, 13)) * {_M}) AS d")
    return ", ".join([*steps, "bitXor(d, bitShiftRight(d, 15)) AS trace_hash"])


def _check(client: Any, number: int) -> None:
    statement = f"SELECT trace_id, trace_hash, toString(id) FROM ({_rows(number, 100, Clock.now())})"
    for trace_id, trace_hash, identity in client.query(statement).result_rows:
        wanted = murmur2(ids.trace_key(WORKSPACE, trace_id))
        if trace_hash != wanted or ids.trace_hash_of(UUID(identity)) != wanted:
            raise RuntimeError(f"{trace_id} has the hash {wanted}, not {trace_hash} (id {identity})")
