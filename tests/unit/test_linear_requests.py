"""No request takes work that grows faster than its length, whatever is repeated in whichever part of it.

The routes, their parameters, headers and fields of bodies are taken from the app and its document, so that a new one is
tried by itself. Each is given many of one piece where the rest of the request is an example that the document gives.

Instructions would be the best measure, but nothing that stands everywhere counts those of C code, where regular
expressions and codecs run. So it is this thread's CPU time, which other processes do not lengthen, and the question is
a coarse one: 8 KB may take a few milliseconds, or else no more than twice as much for each byte as 2 KB take. What
grows with the length takes about one millisecond, what grows with its square takes a hundred and more, and sixteen
times as much for four times the length: neither a slow machine nor noise makes one look like the other. Patterns are
held by `test_linear_patterns` besides, where nothing is measured.
"""

import asyncio
import copy
import gc
import json
import random
import re
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from functools import cache
from pathlib import Path
from time import thread_time
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from starlette.routing import Route

from deploy.embedded import clickhouse_codecs
from deploy.embedded.clickhouse_answers import BadRequestError
from deploy.embedded.clickhouse_codecs import ENCODINGS, CodecError, choose, decode, encode
from deploy.embedded.clickhouse_statement import read_statement
from tests.pipeline.workspace_isolation import PAGES
from tests.tries import TIMES
from tests.unit.whole_api import Headers, WholeApi, described_api

SHORT, LONG = 2_000, 8_000
NOTHING_S = 0.002
MOST_GROWTH = 2 * LONG / SHORT
PIECES = (
    *("0", "00:00", "1e", "-", "+", ".", "__", "a", "é", "٣", "\u2003", " ", "\n", "\r\n", "\0", ",", "a,", ";", ";a="),
    *("=", "&", "?", "#", "@", ":", "//", "a/", "%", "%00", "'", '"', '\\"', "\\'", "\\", "(", ")", "[", "]", "{", "}"),
    *('{"a":', '"a":1,', "/*", "--", "Bearer ", "0-1,", "FORMAT ", "FORMAT a ", "INSERT ", "b="),
)
TEXTS: dict[str, Callable[[int], str]] = {
    **{repr(piece): lambda size, piece=piece: piece * (size // len(piece)) for piece in PIECES},  # type: ignore[misc]
    "numbers": lambda size: ",".join(map(str, range(size // 5))),
    "an unlike member each": lambda size: json.dumps({f"k{number}": number for number in range(size // 14)}),
}
Work = Callable[[int], object]


def seconds(work: Work, size: int) -> float:
    began = thread_time()
    work(size)
    return thread_time() - began


def grows_too_fast(work: Work) -> str:
    """How fast, in words, if it does."""
    long = seconds(work, LONG)
    if long < NOTHING_S * MOST_GROWTH or long < MOST_GROWTH * seconds(work, SHORT):
        return ""
    long, short = (min(seconds(work, size) for _ in range(3)) for size in (LONG, SHORT))
    if long < MOST_GROWTH * max(short, NOTHING_S):
        return ""
    return f"{SHORT} bytes take {short * 1000:.1f} ms, {LONG} bytes {long * 1000:.1f} ms"


def assert_linear(works: Iterable[tuple[str, Work]], one_of: int = 12) -> None:
    """One of so many, drawn anew in each run; in a long run all."""
    works = [each for each in works if random.random() < TIMES / one_of]
    gc.disable()
    try:
        found = {name: told for name, work in works if (told := grows_too_fast(work))}
    finally:
        gc.enable()
    assert not found


PROGRAMS = Path(__file__).parents[2]
# Whatever in the source could be the name of a header that is read.
HEADERS = {
    found.encode()
    for program in ("schemas", "runtime", "ingest_api", "query_api")
    for path in (PROGRAMS / program).rglob("*.py")
    if path.name != "harmless.py"
    for found in re.findall(r'"(host|origin|authorization|baggage|traceparent|[a-z]+(?:-[a-z]+)+)"', path.read_text())
} | {b"accept-encoding", b"content-length", b"content-type", b"cookie", b"expect", b"range", b"x-anything"}
EACH_HEADER = (
    *(("PUT", "/v1/feedback/{feedback_id}"), ("DELETE", "/v1/feedback/{feedback_id}")),
    *(("GET", "/v1/feedback"), ("POST", "/v1/logs/exports"), ("GET", "/v1/logs/exports/{export_id}/file")),
)
"""Where headers are read each in its own way, as wherever something is published; at the other routes all of them are
tried at once."""


@pytest.fixture(scope="module")
def asked() -> Iterator[Callable[..., int]]:
    """Asks the API; the status."""
    loop = asyncio.new_event_loop()

    with WholeApi() as api:

        def answer(*request: Any) -> int:
            status, body = loop.run_until_complete(api.answer(*request))
            assert status != 500, body
            return status

        yield answer
    loop.close()


class Example:
    """A request that is answered, by what the document says of an operation."""

    def __init__(self, method: str, path: str, operation: dict[str, Any]) -> None:
        self.method, self.path = method, path
        self.places = {
            kind: [each["name"] for each in operation.get("parameters", []) if each["in"] == kind]
            for kind in ("path", "query", "header")
        }
        self._examples = {each["name"]: _example(each) for each in operation.get("parameters", [])}
        self._needed = {each["name"] for each in operation.get("parameters", []) if each.get("required")}
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        self.body = next(iter(content["examples"].values()))["value"] if content else None
        self.fields = [*_fields(content["schema"])] if content else []
        if path.endswith("/comparison"):
            self._needed.add("baseline_user")

    def request(
        self, path: dict[str, str] | None = None, query: dict[str, str] | None = None, raw: str = "",
        headers: Headers | None = None, body: bytes | None = None,
    ) -> tuple[Any, ...]:  # fmt: skip
        """The example with some of it replaced; `raw` is added to its query string."""
        written = self.path
        for name in self.places["path"]:
            written = written.replace(f"{{{name}}}", (path or {}).get(name, self._examples[name]))
        examples = {name: self._examples[name] for name in self.places["query"] if name in self._needed}
        string = urlencode(examples | (query or {}), quote_via=quote)
        if body is None and self.body is not None:
            body = json.dumps(self.body).encode()
        return self.method, written, f"{string}&{raw}".strip("&").encode(), headers or [], body or b""


@cache
def examples() -> dict[tuple[str, str], Example]:
    """Of each operation. Made in tests, not before: the document takes seconds of CPU in each process that collects."""
    return {key: Example(*key, operation) for key, operation in described_api().operations.items()}


@cache
def share_of(operation: tuple[str, str], name: str) -> list[str]:
    """The texts that an operation tries of a parameter: all, but for those that others with the same one try."""
    having = _having(name.removeprefix("baseline_"))
    return list(TEXTS)[having.index(operation) :: len(having)]


@cache
def _having(name: str) -> list[tuple[str, str]]:
    return [each for each, one in examples().items() if name in one.places["query"]]


def of_each(
    workloads: Callable[[tuple[str, str], Example], Iterable[tuple[str, Work]]], given: dict[tuple[str, str], Example]
) -> Iterator[tuple[str, Work]]:
    """The workloads of all these operations, each told with its own."""
    for operation, one in given.items():
        yield from ((f"{' '.join(operation)}: {told}", work) for told, work in workloads(operation, one))


def _example(parameter: dict[str, Any]) -> str:
    return str(parameter.get("example", (parameter["schema"].get("examples") or [""])[0]))


def _fields(schema: dict[str, Any], place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The places of all fields in a body's schema, that of an item where it may be many."""
    for part in schema.get("anyOf", [schema]):
        for name, inner in part.get("properties", {}).items():
            yield (*place, name)
            yield from _fields(inner, (*place, name))


def _with(body: Any, place: tuple[str, ...], value: Any) -> bytes:
    changed = copy.deepcopy(body)
    at = changed
    for name in place[:-1]:
        if not isinstance(at.get(name), dict):
            at[name] = {}
        at = at[name]
    at[place[-1]] = value
    return json.dumps(changed).encode()


FIELDS = (
    *("user", "meta.a", "key", "range", "columns", "order", "by", "against", "one", "other", "sort", "cursor", "open"),
    *("span", "id", "next", "query", "places", "trace_id", "value", "weight", "comment", "key_id", "scope.admin"),
    *("name", "expires", "rate_limit_per_s", "kind", "format", "time_of_generation_min", "value_min"),
)
"""What pages and their forms read."""


def test_every_route_is_documented_and_so_tried_here() -> None:
    def routes(of: Any) -> Iterator[Any]:
        for route in of.routes:
            inner = getattr(route, "original_router", None)
            yield from routes(inner) if inner else [route] if isinstance(route, Route) else ()

    app = described_api().app
    documented = {path for _, path in examples()}
    endpoints = [route.endpoint for route in routes(app) if route.path_format in documented]
    others = {route.path_format for route in routes(app) if route.endpoint not in endpoints}
    assert {path for path in others if path.rstrip("/") not in documented and not path.startswith("/docs")} == {
        "/openapi.json", "/feedback-buttons.js", *(route.path for route in PAGES)
    }  # fmt: skip
    assert not any("{" in path for path in others), "they take nothing"
    assert len(documented) > 20
    assert {b"traceparent", b"x-portkey-metadata", b"x-portkey-api-key", b"content-encoding", b"origin"} <= HEADERS


def test_no_part_of_a_request_takes_more_than_its_share(asked: Callable[..., int]) -> None:
    publishing = described_api().app.publishing

    def workloads(operation: tuple[str, str], one: Example) -> Iterator[tuple[str, Work]]:
        is_each = operation in EACH_HEADER or (operation[0] == "POST" and operation[1] in publishing)
        for told, text in TEXTS.items():
            for name in one.places["path"]:
                yield f"{name}: {told}", lambda n, name=name, text=text: asked(*one.request(path={name: text(n)}))
            for name in one.places["query"]:
                if told in share_of(operation, name):
                    yield f"{name}: {told}", lambda n, name=name, text=text: asked(*one.request(query={name: text(n)}))
            for names in [[each] for each in HEADERS] if is_each else [HEADERS]:
                yield (
                    f"{names}: {told}",
                    lambda n, names=names, text=text: asked(
                        *one.request(headers=[(name, text(n // len(names)).encode()) for name in names])
                    ),
                )
            yield f"query: {told}", lambda n, text=text: asked(*one.request(raw=quote(text(n), safe="=&;%+")))
        for name in (*one.places["query"], "unknown"):
            yield f"many of {name}", lambda n, name=name: asked(*one.request(raw=f"{name}=1&" * (n // 12)))
        # Many more, since each takes a few characters.
        yield "many parameters", lambda n: asked(*one.request(raw="&".join(f"p{number}=1" for number in range(n))))
        yield "many headers", lambda n: asked(*one.request(headers=[(b"x-%d" % number, b"1") for number in range(n)]))
        yield "one header many times", lambda n: asked(*one.request(headers=[(b"baggage", b"a=1")] * n))

    assert {key: status for key, one in examples().items() if (status := asked(*one.request())) >= 500} == {}
    assert_linear(of_each(workloads, examples()))


def test_no_field_of_a_body_takes_more_than_its_share(asked: Callable[..., int]) -> None:
    def workloads(_: tuple[str, str], one: Example) -> Iterator[tuple[str, Work]]:
        for told, text in TEXTS.items():
            yield f"body: {told}", lambda n, text=text: asked(*one.request(body=text(n).encode()))
            yield f"string: {told}", lambda n, text=text: asked(*one.request(body=b'{"a":"%b' % text(n).encode()))
            for place in one.fields:
                yield (
                    f"{'.'.join(place)}: {told}",
                    lambda n, place=place, text=text: asked(*one.request(body=_with(one.body, place, text(n)))),
                )
        for place in [*one.fields, ("filters", "metadata"), ("filters", "ai_model"), ("metadata", "_user")]:
            for told, value in VALUES.items():
                yield (
                    f"{'.'.join(place)}: {told}",
                    lambda n, place=place, value=value: asked(*one.request(body=_with(one.body, place, value(n)))),
                )
        yield "items", lambda n: asked(*one.request(body=json.dumps([one.body] * (n // 300)).encode()))
        yield "empty items", lambda n: asked(*one.request(body=json.dumps([{}] * (n // 3)).encode()))

    with_body = {key: one for key, one in examples().items() if one.body is not None}
    assert with_body
    assert_linear(of_each(workloads, with_body))


@pytest.mark.parametrize("page", sorted(PAGES), ids=" ".join)
def test_no_part_of_a_page_takes_more_than_its_share(asked: Callable[..., int], page: tuple[str, str]) -> None:
    method, path = page
    form = [(b"sec-fetch-site", b"same-origin")]

    def sent(text: str) -> int:
        """In the address; as a form that is sent, if the page is one."""
        if method == "GET":
            return asked(method, path, text.encode())
        body = text.encode()
        return asked(method, path, b"", [*form, (b"content-length", str(len(body)).encode())], body)

    def workloads() -> Iterator[tuple[str, Work]]:
        for told, text in TEXTS.items():
            yield told, lambda n, text=text: sent(quote(text(n), safe="=&;%+"))
            yield f"all: {told}", lambda n, text=text: sent(urlencode({name: text(n // 8) for name in FIELDS}))
        for name in random.sample(FIELDS, 5):
            yield f"many of {name}", lambda n, name=name: sent("&".join(f"{name}={each}" for each in range(n // 8)))
            several = lambda n, name=name: urlencode({name: "&".join(f"a{each}=1" for each in range(n // 8))})  # noqa: E731
            yield f"many in {name}", lambda n, several=several: sent(several(n))
        yield "many parameters", lambda n: sent("&".join(f"p{number}=1" for number in range(n // 8)))

    # A page is rendered whole, and pages are much alike.
    assert_linear(workloads(), one_of=48)


def _nested(size: int, opening: str, closing: str) -> Any:
    depth = min(size // (len(opening) + len(closing)), 900)
    return json.loads(opening * depth + "1" + closing * depth)


VALUES: dict[str, Callable[[int], Any]] = {
    "a list of texts": lambda n: ["a"] * (n // 4),
    "a list of unlike texts": lambda n: [str(number) for number in range(n // 8)],
    "a list of objects": lambda n: [{}] * (n // 4),
    "an object": lambda n: {f"k{number}": number for number in range(n // 12)},
    "lists in lists": lambda n: _nested(n, "[", "]"),
    "objects in objects": lambda n: _nested(n, '{"a":', "}"),
    "objects as text in objects": lambda n: json.dumps({"body": json.dumps({"a": "\\" * n})}),
    "a long key": lambda n: {"a" * n: {"b": "\0"}},
}


def statement(*request: Any) -> None:
    try:
        read_statement(*request)
    except (BadRequestError, UnicodeDecodeError):
        return


def test_no_part_of_a_statement_takes_more_than_its_share() -> None:
    form = "multipart/form-data; boundary=b"
    part = b'--b\r\nContent-Disposition: form-data; name="t"; filename="f"%b\r\n\r\n1\r\n--b--'

    def workloads() -> Iterator[tuple[str, Work]]:
        for told, text in TEXTS.items():
            for before in ("", "SELECT ", "INSERT INTO t ", "INSERT INTO t SELECT ", "SELECT 1 FORMAT CSV ", "'", "/*"):
                query = lambda n, before=before, text=text: urlencode({"query": before + text(n)}).encode()  # noqa: E731
                yield f"query: {before}{told}", lambda n, query=query: statement("POST", query(n), {}, b"")
                body = lambda n, before=before, text=text: (before + text(n)).encode()  # noqa: E731
                yield f"body: {before}{told}", lambda n, body=body: statement("POST", b"", {}, body(n))
            yield f"query string: {told}", lambda n, text=text: statement("POST", quote(text(n)).encode(), {}, b"")
            yield (
                f"content type: {told}",
                lambda n, text=text: statement("POST", b"", {"content-type": form + text(n)}, b"--b\r\n"),
            )
            yield (
                f"head of a part: {told}",
                lambda n, text=text: statement("POST", b"", {"content-type": form}, part % text(n).encode()),
            )
            yield f"form: {told}", lambda n, text=text: statement("POST", b"", {"content-type": form}, text(n).encode())
            types = lambda n, text=text: urlencode({"query": "SELECT 1", "t_types": text(n)}).encode()  # noqa: E731
            yield (
                f"types: {told}",
                lambda n, types=types: statement("POST", types(n), {"content-type": form}, part % b""),
            )
            yield f"accepted: {told}", lambda n, text=text: choose(text(n))
        yield "parts", lambda n: statement("POST", b"", {"content-type": form}, part[:-5] % b"" * (n // 60) + b"--b--")
        yield "parameters", lambda n: statement("POST", b"&".join(b"p%d=1" % k for k in range(n // 7)), {}, b"")

    assert_linear(workloads())


@pytest.mark.parametrize("encoding", ["lz4", "gzip"])
def test_no_encoded_body_takes_more_than_its_share(encoding: str) -> None:
    one = encode(b"1,", encoding)

    def decoded(body: bytes) -> None:
        try:
            decode(body, encoding)
        except CodecError:
            return

    # Many more, since copying is quick.
    frames = lambda n: decoded(one * (100 * n // len(one)))  # noqa: E731
    assert_linear([("frames", frames), ("one", lambda n: decoded(encode(b"a" * n, encoding)))])


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_body_that_decodes_into_more_than_the_limit_is_refused(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clickhouse_codecs, "MOST_BODY_BYTES", 1_000_000)
    assert decode(encode(bytes(1_000_000), encoding), encoding) == bytes(1_000_000)
    for body in (encode(bytes(1_000_001), encoding), encode(bytes(200_000), encoding) * 6):
        with pytest.raises(CodecError, match="decodes into more than 1,000,000 bytes"):
            decode(body, encoding)


async def test_a_body_longer_than_the_limit_is_refused_before_the_rest_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from deploy.embedded.clickhouse_app import ClickHouseHTTP  # here, because it loads the whole of ClickHouse

    monkeypatch.setattr(clickhouse_codecs, "MOST_BODY_BYTES", 1_000_000)
    answered: list[MutableMapping[str, Any]] = []
    read = 0

    async def receive() -> MutableMapping[str, Any]:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": bytes(300_000), "more_body": True}

    async def send(message: MutableMapping[str, Any]) -> None:
        answered.append(message)

    without_engine: Any = None
    front = ClickHouseHTTP(without_engine, "secret")
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"password=secret", "scheme": "http",
             "http_version": "1.1", "headers": [(b"host", b"localhost")]}  # fmt: skip
    await front(scope, receive, send)
    assert answered[0]["status"] == 413
    assert read == 4
    await front({**scope, "path": "/ping", "query_string": b""}, receive, send)
    assert answered[-2]["status"] == 200
    assert read == 4, "anybody may send a ping, and nothing of its body counts"
