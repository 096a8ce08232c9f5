"""The whole HTTP API in this process: the real app, and at its rim a ClickHouse that only binds statements."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any, Self
from unittest.mock import patch
from urllib.parse import quote

from clickhouse_connect.driver.binding import bind_query

from deploy.api import extend
from ingest_api.app import create_app
from ingest_api.http.edge_app import EdgeApp
from ingest_api.http.publish_endpoint import Message
from ingest_api.settings import Settings
from operations.connections import as_command_errors
from operations.pipeline_counts import Counts
from query_api.clickhouse import Engines
from query_api.reading.pending_records import PendingRecords
from query_api.settings import QuerySettings
from runtime.http_errors import ApiError
from tests.fuzz.edge import NOW_MS, NoKeys, Recorder

Headers = list[tuple[bytes, bytes]]

# What a statement that must answer something answers, told by a part of it; nothing where no row is said.
_ROWS: dict[str, dict[str, Any]] = {
    "count() OVER () AS group_total": {},
    "SELECT count() AS total FROM (": {"total": 0},
    "countIf(weight > 0)": dict.fromkeys("abcdefg", 0),
    "countIf(NOT last.1)": {"total": 0, "deleted": 0},
    "SELECT uniqExact(l.request_id) AS total": {"total": 0},
    "count() AS total": {"total": 0},
    "uniqExact(export_id)": {"total": 0},
    "AS first_at": {"number": 0, "size": 0, "first_at": None, "now": datetime(2026, 1, 31, tzinfo=UTC)},
    "feedback.exports": {
        "id": "3f0c9f52-8a52-4a5e-9a3c-1f6a7d2b9c10",
        "workspace": "default",
        "fact": "order",
        "attempt": 0,
        "runner": "",
        "content": json.dumps({"filters": {}, "requested_data": ["id"], "created_at": "2026-01-31T12:00:00.000Z"}),
        "noted_at": datetime(2026, 1, 31, tzinfo=UTC),
        "now": datetime(2026, 1, 31, tzinfo=UTC),
    },
    "feedback.secrets": {"secret": "s" * 32},
}


class _Result:
    def __init__(self, row: dict[str, Any] | None) -> None:
        self._rows = [row] if row else []

    def named_results(self) -> list[dict[str, Any]]:
        return self._rows


class Unstored:
    """A client of ClickHouse that does its own part of the work, and stores nothing."""

    fails: Callable[[], Exception] | None = None
    is_stalled = False

    async def query(self, query: str, parameters: dict[str, Any], settings: Mapping[str, Any]) -> _Result:
        bind_query(query, parameters)
        if self.is_stalled:
            await asyncio.Event().wait()
        if self.fails is not None:
            raise self.fails()
        return _Result(next((dict(row) for part, row in _ROWS.items() if part in query), None))

    async def insert(self, *_: Any, **__: Any) -> None:
        """Forget it."""


class _NothingStored:
    """ClickHouse as operators' commands find it: as the API's client is, without rows, forgetting what is inserted."""

    result_rows: tuple[()] = ()

    def __init__(self, client: Unstored) -> None:
        self._client = client

    def query(self, query: str, parameters: dict[str, Any] | None = None, **_: Any) -> "_NothingStored":
        bind_query(query, parameters)
        if self._client.fails is not None:
            raise self._client.fails()
        return self

    def named_results(self) -> list[dict[str, Any]]:
        return []

    def insert(self, *_: Any, **__: Any) -> None:
        if self._client.fails is not None:
            raise self._client.fails()


def _kafka(_: str, work: Any) -> list[Any]:
    work.close()
    return []


def _no_key(client: _NothingStored, *_: Any) -> None:
    client.query("SELECT 1")
    # It would close the API to everything else that is tried here.
    raise ApiError("no key is made here", status=409)


# Nothing is remembered of an answer, so that each failure shows.
_COMMANDS = {
    "operations.admin_api.pipeline._LEAST_S": 0,
    "operations.admin_api.pipeline._REST": 0,
    "operations.admin_api.api_keys._store": _no_key,
    "operations.admin_api.pipeline.audit": lambda *_: [],
    "operations.admin_api.pipeline.read_counts": lambda *_: Counts(0, 0, 0, 0, 0, 0),
    "operations.admin_api.pipeline.read_offsets": lambda *_: {},
    "operations.api_keys.changes.kafka": _kafka,
}


class WholeApi:
    """One edge with the queries. `client` is its ClickHouse, `recorder` its Kafka.

    It can be looked at as it is made. It stands in for the engines of this process only from its entry to its exit: a
    module that made one and left it open would have every other test of the process ask it.
    """

    def __init__(self, **settings: Any) -> None:
        recorders: list[Recorder] = []
        self.client, self._rim = Unstored(), ExitStack()

        def recorder(settings: Settings) -> Recorder:
            recorders.append(Recorder(settings))
            return recorders[-1]

        with patch("ingest_api.app.Publisher", recorder), patch("ingest_api.app.ApiKeyFeed", NoKeys):
            self.app: EdgeApp = create_app(Settings(**settings), lambda: NOW_MS)
        extend(self.app, QuerySettings())
        self.app.state.authenticator.mark_fresh(10**15)
        (self.recorder,) = recorders

    def __enter__(self) -> Self:
        client = self.client

        async def clickhouse(_: Engines) -> Unstored:
            return client

        async def hold(*_: Any) -> bool:
            return False

        @contextmanager
        def commands_clickhouse(url: str) -> Iterator[_NothingStored]:
            with as_command_errors(url):
                yield _NothingStored(client)

        self._rim.enter_context(patch("operations.admin_api.run_command.clickhouse", commands_clickhouse))
        for name, stand_in in _COMMANDS.items():
            self._rim.enter_context(patch(name, stand_in))
        self._rim.enter_context(patch.object(Engines, "clickhouse", clickhouse))
        self._rim.enter_context(patch.object(PendingRecords, "hold", hold))
        return self

    def __exit__(self, *_: object) -> None:
        self._rim.close()

    @property
    def operations(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What the document says of each method and path, references resolved."""
        document = self.app.openapi()
        return {
            (method.upper(), path): _resolved(operation, document)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        }

    async def answer(
        self, method: str, path: str, query: bytes = b"", headers: Headers | None = None, body: bytes = b""
    ) -> tuple[int, bytes]:
        """Status and body of one request, handed to the app as a server would."""
        sent: list[Message] = []
        rest: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            # A client that stays says no more.
            return rest.pop() if rest else await asyncio.Future()

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "scheme": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": quote(path).encode(),
            "query_string": query,
            "headers": [(b"host", b"localhost"), *(headers or [])],
        }
        await self.app(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@cache
def described_api() -> WholeApi:
    """One for whoever asks what routes there are: to make it takes seconds of CPU, in each process that collects."""
    return WholeApi()


def _resolved(part: Any, document: dict[str, Any]) -> Any:
    if isinstance(part, list):
        return [_resolved(each, document) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _resolved(document["components"]["schemas"][part["$ref"].rpartition("/")[2]], document)
    return {name: _resolved(each, document) for name, each in part.items()}
