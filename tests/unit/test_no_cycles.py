"""Nothing that a request leaves behind waits for the garbage collector, however the request ends.

An exception whose own frame names it holds that frame, and all that it has seen: bodies of megabytes, until the
collector looks, which in a busy edge is seldom. Here requests come in as bytes and end in every way there is, with the
collector off; then it may find nothing.
"""

import ast
import asyncio
import gc
import gzip
import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import uvicorn
import uvloop
from clickhouse_connect.driver.exceptions import DatabaseError
from uvicorn.server import ServerState

from ingest_api.errors import kafka_unavailable, outcome_unknown
from ingest_api.http.edge_protocol import EdgeProtocol
from ingest_api.records import EventRecord
from runtime.idle_clients import ClientTimeoutProtocol, Connections
from schemas.api_keys import new_key
from schemas.vote_tokens import sign
from tests.fuzz.edge import NOW_MS
from tests.unit.ingest_api.otlp_edge import export, span
from tests.unit.ingest_api.test_coalesced_write import Written
from tests.unit.test_linear_requests import examples
from tests.unit.whole_api import WholeApi

ROOT = Path(__file__).parents[2]
FEEDBACK, LOGS, EXPORTS, TRACES = "/v1/feedback", "/v1/logs", "/v1/logs/exports", "/v1/traces"
TOKENS, VOTE = f"{FEEDBACK}/tokens", f"{FEEDBACK}/vote"
ASKS_NOTHING = (FEEDBACK, LOGS, f"{FEEDBACK}/{{feedback_id}}", TOKENS, VOTE, TRACES, "/v1/caller")
"""Routes that ask no ClickHouse, or not in this way."""
ONE = f"{FEEDBACK}/01970000-0000-8000-8000-9b11edf90000"
GIVEN = b'{"trace_id":"a","value":1}'


def request(
    method: str, path: str, query: bytes = b"", headers: list[tuple[bytes, bytes]] | None = None, body: bytes = b""
) -> bytes:
    given = [(b"host", b"localhost"), *(headers or [])]
    given += [(b"content-length", b"%d" % len(body))] if body else []
    head = b"".join(b"%b: %b\r\n" % each for each in given)
    return b"%b %b?%b HTTP/1.1\r\n%b\r\n%b" % (method.encode(), quote(path).encode(), query, head, body)


class Connection(Written):
    """A client's connection to the app, told what a client sends, and what has been answered."""

    def __init__(self, config: uvicorn.Config, connections: Connections) -> None:
        super().__init__()
        self._state = ServerState()
        its = connections.protocol(config=config, server_state=self._state, app_state={})
        self.its: ClientTimeoutProtocol | None = its
        its.connection_made(self)

    def abort(self) -> None:
        self.close()

    def write_eof(self) -> None:
        self.close()

    def get_write_buffer_size(self) -> int:
        return 0

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            if self.its and not self.is_closing():
                self.its.data_received(piece)
                await asyncio.sleep(0)
        if self.is_closing():
            self.lose()
        while self._state.tasks:
            await asyncio.gather(*self._state.tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def lose(self) -> None:
        """As a real one, know nothing of the protocol any more."""
        its, self.its = self.its, None
        if its is not None:
            its.connection_lost(None)

    @property
    def statuses(self) -> list[int]:
        return [int(each[9:12]) for each in self.calls if isinstance(each, bytes) and each.startswith(b"HTTP/1.1 ")]


class World:
    """An API, and requests to it."""

    def __init__(self) -> None:
        self.api = WholeApi()
        self.connections = Connections(10, 30.0, EdgeProtocol)
        self.config = uvicorn.Config(
            self.api.app, lifespan="off", access_log=False, log_config=None, proxy_headers=False
        )
        self.config.load()

    async def answered(self, *pieces: bytes) -> int:
        """The status of a request that is sent twice on a connection, if that stays."""
        connection = Connection(self.config, self.connections)
        for _ in range(2):
            await connection.send(*pieces)
        connection.lose()
        await asyncio.sleep(0)
        return connection.statuses[-1]

    async def left(self, *pieces: bytes) -> int:
        """One that leaves in the middle."""
        connection = await self._begun(pieces)
        connection.lose()
        await connection.send()
        return 0

    async def late(self, *pieces: bytes) -> int:
        """One that does not come whole in its time."""
        connection = await self._begun(pieces)
        assert connection.its
        connection.its.check_timeouts(1e9, 0.0)
        await connection.send()
        return connection.statuses[-1]

    async def _begun(self, pieces: tuple[bytes, ...]) -> Connection:
        connection = Connection(self.config, self.connections)
        for piece in pieces:
            assert connection.its
            connection.its.data_received(piece)
            await asyncio.sleep(0)
        return connection


Outcome = Callable[[World], Awaitable[int]]
BODIES = {
    "no JSON": b"{",
    "empty": b" ",
    "too deep": b'{"a":' * 101 + b"1" + b"}" * 101,
    "a key twice": b'{"a":1,"a":1}',
    "a NUL": b'{"a":"\\u0000"}',
    "wrong values": b'{"trace_id":1,"value":99,"request":[],"filters":1}',
    "no object": b"[1]",
    "nothing": b"{}",
    "no items": b"[]",
    "one bad item": b"[" + GIVEN + b',{"trace_id":"a","value":99}]',
    "too many": b"[" + b",".join([b"1"] * 1001) + b"]",
    "no metadata": b'{"trace_id":"a","value":1,"metadata":"{"}',
    "a bad special field": b'{"trace_id":"a","value":1,"metadata":{"_user":{}}}',
    "large metadata": b'{"trace_id":"a","value":1,"metadata":{"a":"%b"}}' % (b"a" * 70_000),
    "a long trace id": b'{"trace_id":"%b","value":1,"request":{},"response":{}}' % (b"a" * 600),
    "a bad time": b'{"request":{},"response":{},"start_time":"x"}',
    "a bad span": b'{"request":{},"response":{},"metadata":{"span_id":1.5}}',
    "too large": b"a" * 5_000_001,
    "a bad filter": b'{"filters":{"cost_min":"x"}}',
    "a bad column": b'{"requested_data":["x"]}',
}
PROTOBUF = (b"content-type", b"application/x-protobuf")
OTLP = {
    "nothing": (200, b""),
    "a span": (200, export(span()).SerializeToString()),
    "a bad span": (200, export(span(span_id=b"")).SerializeToString()),
    "a bad text": (200, export(span({"gen_ai.system": "a\0"})).SerializeToString()),
    "half a span": (400, export(span()).SerializeToString()[:-1]),
    "many spans": (200, export(*[span(span_id=bytes([9, n % 250 + 1] * 4)) for n in range(700)]).SerializeToString()),
}
"""By what it is: the status of an export of spans, and its bytes."""
QUERIES = (
    *(b"nope=1", b"time_of_generation_min=x", b"metadata={", b"cost_min=x", b"status_code=x", b"ai_org_model=x"),
    *(b"workspace_slug=other", b"page_size=0", b"cursor=x", b"join_state=x", b"user="),
)
HEADERS = {
    "compressed": (b"content-encoding", b"gzip"),
    "no JSON": (b"content-type", b"text/plain"),
    "foreign": (b"origin", b"http://evil.example"),
    "a long key": (b"idempotency-key", b"a" * 300),
    "bad metadata": (b"x-portkey-metadata", b"{"),
    "another host": (b"host", b"evil.example"),
}


def outcomes() -> Iterator[tuple[str, Outcome, int]]:
    """Every way in which a request may end, and the status of some."""

    def sent(*pieces: bytes) -> Outcome:
        return lambda world: world.answered(*pieces)

    for key, one in examples().items():
        yield f"{key}: its example", sent(request(*one.request())), 0
    for name, body in BODIES.items():
        for method, path in (("POST", FEEDBACK), ("POST", LOGS), ("PUT", ONE), ("POST", EXPORTS)):
            yield f"{method} {path}: {name}", sent(request(method, path, body=body)), 0
    for query in QUERIES:
        for path in (FEEDBACK, LOGS):
            status = 403 if query.startswith(b"workspace") else 400
            yield f"{path}: {query.decode()}", sent(request("GET", path, query)), status
    for name, header in HEADERS.items():
        for method, path in (("POST", FEEDBACK), ("POST", LOGS), ("POST", EXPORTS)):
            yield f"{method} {path}: {name}", sent(request(method, path, headers=[header], body=GIVEN)), 0
    packed = (b"content-encoding", b"gzip")
    for name, (status, body) in OTLP.items():
        for path in (TRACES, LOGS):
            wanted = status if path == TRACES else 0
            for packing, headers in (("", [PROTOBUF]), (", packed", [PROTOBUF, packed])):
                whole = gzip.compress(body) if packing else body
                yield f"{path}: {name}{packing}", sent(request("POST", path, headers=headers, body=whole)), wanted
    yield "no gzip", sent(request("POST", TRACES, headers=[PROTOBUF, packed], body=b"a")), 400
    yield (
        "a bomb",
        sent(request("POST", TRACES, headers=[PROTOBUF, packed], body=gzip.compress(bytes(30_000_000)))),
        413,
    )
    yield "no export", sent(request("POST", TRACES, body=b'{"resourceSpans":[5]}')), 400
    yield "no export of logs", sent(request("POST", LOGS, body=b'{"resourceLogs":[5]}')), 400
    yield "unknown path", sent(request("GET", "/nothing")), 404
    yield "unknown method", sent(request("PATCH", LOGS)), 405
    yield "unknown id", sent(request("DELETE", f"{FEEDBACK}/undefined")), 404
    yield "a long target", sent(request("GET", "/" + "a" * 20_000)), 414
    yield "a large head", sent(request("GET", "/", headers=[(b"a", b"b" * 70_000)])), 431
    yield "no HTTP", sent(b"garbage\r\n\r\n"), 400
    begun = request("POST", FEEDBACK, headers=[(b"content-length", b"10")])
    yield "in pieces", sent(begun, b'{"a":', b"12345"), 400
    yield "bad chunks", sent(request("POST", FEEDBACK, headers=[(b"transfer-encoding", b"chunked")]), b"zz\r\n"), 400
    yield "at once", sent(request("POST", FEEDBACK, body=GIVEN) * 3), 200
    for path in (FEEDBACK, EXPORTS):
        head = request("POST", path, headers=[(b"content-length", b"10")])
        yield f"{path}: gone", lambda world, head=head: world.left(head, b"{"), 0
        yield f"{path}: late", lambda world, head=head: world.late(head, b"{"), 408
    yield "gone within the head", lambda world: world.left(b"GET / HT"), 0
    yield "late within the head", lambda world: world.late(b"GET / HT"), 408
    yield "too many connections", _crowded, 503


async def _crowded(world: World) -> int:
    connection = Connection(world.config, Connections(0, 30.0, EdgeProtocol))
    connection.lose()
    return connection.statuses[-1]


def failures() -> Iterator[tuple[str, Outcome, int]]:
    """Every way in which an engine, or we, may fail."""
    publish = request("POST", FEEDBACK, body=GIVEN)

    def kafka(error: Callable[[], Exception]) -> Outcome:
        async def failing(_: list[EventRecord]) -> None:
            raise error()

        async def answered(world: World) -> int:
            world.api.recorder.publish = failing  # type: ignore[assignment,method-assign]
            try:
                return await world.answered(publish)
            finally:
                del world.api.recorder.publish

        return answered

    yield "Kafka is away", kafka(lambda: kafka_unavailable("away")), 503
    yield "Kafka may have it", kafka(lambda: outcome_unknown("away")), 503
    yield "a fault of ours", kafka(lambda: KeyError("a")), 500
    for key, one in examples().items():
        if key[1].startswith("/v1/") and key[1] not in ASKS_NOTHING:
            asked = request(*one.request())
            for name, fails, status in (
                ("ClickHouse refuses", lambda: DatabaseError("Code: 60. (UNKNOWN_TABLE)"), 503),
                ("ClickHouse is away", lambda: ConnectionRefusedError(111, "Connection refused"), 503),
                ("a fault of ours", lambda: KeyError("a"), 500),
            ):

                async def answered(world: World, asked: bytes = asked, fails: Any = fails) -> int:
                    world.api.client.fails = fails
                    try:
                        return await world.answered(asked)
                    finally:
                        world.api.client.fails = None

                yield f"{key}: {name}", answered, status

    async def slow(world: World) -> int:
        world.api.client.is_stalled = True
        try:
            return await world.answered(request("GET", LOGS))
        finally:
            world.api.client.is_stalled = False

    yield "ClickHouse is slow", slow, 503


def keyed() -> Iterator[tuple[str, Outcome, int]]:
    """Every way in which a caller may not be let in, once there are keys; these outcomes come last."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    secret, reader = new_key("w", ["feedback.read"], now)
    limited, writer = new_key("w", ["admin"], now, rate_limit_per_s=1)
    expired, old = new_key("w", ["admin"], now, expires_at=now)

    def sent(key: str, *others: tuple[bytes, bytes]) -> Outcome:
        async def answered(world: World) -> int:
            for each in (reader, writer, old):
                world.api.app.api_keys.upsert(each)
            statuses = [
                await world.answered(
                    request(method, path, headers=[(b"x-portkey-api-key", key.encode()), *others], body=body)
                )
                for method, path, body in (("POST", FEEDBACK, GIVEN), ("GET", LOGS, b""), ("GET", FEEDBACK, b""))
            ]
            return statuses[0]

        return answered

    def voted(text: str, body: bytes = b'{"value":1}', *others: tuple[bytes, bytes]) -> Outcome:
        async def answered(world: World) -> int:
            world.api.app.api_keys.upsert(maker)
            headers = [(b"authorization", b"Bearer " + text.encode()), *others]
            return await world.answered(request("POST", VOTE, headers=headers, body=body))

        return answered

    _, maker = new_key("w", ["feedback.token"], now)
    claims = b'{"trace_id":"t","expires_at":%d,"values":[0,1],"voter":"v"}'
    token = sign(maker.key_id, maker.hash, claims % (NOW_MS // 1000 + 60))
    yield "a vote", voted(token), 200
    yield "a vote that is not allowed", voted(token, b'{"value":2}'), 403
    yield "a vote that is no vote", voted(token, b"[]"), 400
    yield "a vote of a foreign page", voted(token, b'{"value":1}', (b"origin", b"http://evil.example")), 403
    yield "a forged token", voted(token[:-1]), 401
    yield "claims that are not valid", voted(sign(maker.key_id, maker.hash, b"{")), 403
    yield "an expired token", voted(sign(maker.key_id, maker.hash, claims % 1)), 401
    yield "no key", sent(""), 401
    yield "no key's form", sent("x"), 401
    yield "an unknown key", sent("fbk_0123456789ab_" + "0" * 64), 401
    yield "an expired key", sent(expired), 401
    yield "without the scope", sent(secret), 403
    yield "two keys", sent(secret, (b"authorization", f"Bearer {limited}".encode())), 400
    yield "one header twice", sent(secret, (b"x-portkey-api-key", b"x")), 400
    yield "too many events", sent(limited), 429


def left_behind(world: World, every: Iterator[tuple[str, Outcome, int]]) -> dict[str, list[str]]:
    """What the collector finds after each outcome, by its name."""
    found: dict[str, list[str]] = {}

    async def check_each() -> None:
        gc.collect()
        for name, outcome, status in every:
            # What stands is not looked through again and again.
            gc.freeze()
            got = await outcome(world)
            assert got == status or not status, name
            gc.collect()
            gc.set_debug(gc.DEBUG_SAVEALL)
            await outcome(world)
            gc.collect()
            gc.set_debug(0)
            if gc.garbage:
                found[name] = [type(each).__qualname__ for each in gc.garbage]
                gc.garbage.clear()

    gc.disable()
    try:
        uvloop.run(check_each())
    finally:
        gc.set_debug(0)
        gc.unfreeze()
        gc.enable()
    return found


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FEEDBACK_QUERY_TIMEOUT_S", "0.05")
        patched.setattr("runtime.request_head_limits._READ_ON_S", 0.0)
        made = World()
        with made.api:
            yield made


def test_no_request_leaves_anything_to_the_collector(world: World) -> None:
    assert left_behind(world, chain(outcomes(), failures(), keyed())) == {}


def test_a_cycle_is_found(world: World) -> None:
    async def outcome(_: World) -> int:
        itself: list[Any] = []
        itself.append(itself)
        return 0

    assert left_behind(world, iter([("a list in itself", outcome, 0)])) == {"a list in itself": ["list"]}


@pytest.mark.parametrize(
    "program", ["schemas", "runtime", "ingest_api", "query_api", "dashboard", "operations", "deploy"]
)
def test_no_exception_is_raised_by_a_name_of_its_own_frame(program: str) -> None:
    """But where `except … as` gave it, which forgets the name at the end."""
    found = []
    for path in sorted((ROOT / program).rglob("*.py")):
        source = path.read_text()
        for function in ast.walk(ast.parse(source)) if re.search(r"\braise\s+\(?[a-z]", source) else ():
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                within = [*ast.walk(function)]
                caught = {each.name for each in within if isinstance(each, ast.ExceptHandler)}
                found += [
                    f"{path.relative_to(ROOT)}:{each.lineno}"
                    for each in within
                    if isinstance(each, ast.Raise) and isinstance(each.exc, ast.Name)
                    and each.exc.id not in caught and each.exc.id[:1].islower()
                ]  # fmt: skip
    assert found == []
