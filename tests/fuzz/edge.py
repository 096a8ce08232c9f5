"""The whole edge but for Kafka: the real ASGI app, open, and at its rim a recorder of the very bytes it publishes."""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

from ingest_api.app import create_app
from ingest_api.http.publish_endpoint import Message
from ingest_api.records import EventRecord
from ingest_api.settings import Settings
from runtime.api_key_authentication import ApiKeyAuthenticator
from tests.fuzz.oracle import Request, Rules

RULES = Rules(body_bytes=4000, trace_id_chars=24, metadata_bytes=400, bulk=4)
NOW_MS = 1_769_860_800_123


class Recorder:
    """Takes a publisher's place: what is published is kept, and acknowledged at once."""

    fault = ""

    def __init__(self, _: Settings) -> None:
        self.records: list[EventRecord] = []

    async def publish(self, records: Sequence[EventRecord]) -> None:
        self.records.extend(records)


class NoKeys:
    """Takes the place of the topic of API keys: it has been read, and there are none."""

    fault = ""

    def __init__(self, _: str, authenticator: ApiKeyAuthenticator, now_ms: Callable[[], int]) -> None:
        authenticator.mark_fresh(now_ms())


class RecordedEdge:
    """One edge with small limits, so that bodies reach them."""

    def __init__(self) -> None:
        settings = Settings(
            max_body_bytes=RULES.body_bytes,
            max_trace_id_chars=RULES.trace_id_chars,
            max_metadata_bytes=RULES.metadata_bytes,
            max_bulk=RULES.bulk,
        )
        recorders: list[Recorder] = []

        def recorder(settings: Settings) -> Recorder:
            recorders.append(Recorder(settings))
            return recorders[-1]

        with patch("ingest_api.app.Publisher", recorder), patch("ingest_api.app.ApiKeyFeed", NoKeys):
            self._app = create_app(settings, lambda: NOW_MS)
        (self._recorder,) = recorders
        self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        self._loop.close()

    def answer(self, request: Request, cut: int = 0) -> tuple[int, dict[str, Any], list[dict[str, Any]]]:
        """Status, body and the events published by one request, whose body comes in two pieces if it is cut."""
        self._recorder.records.clear()
        status, body = self._loop.run_until_complete(self._answer(request, cut))
        return status, json.loads(body), [json.loads(record.value) for record in self._recorder.records]

    async def _answer(self, request: Request, cut: int) -> tuple[int, bytes]:
        pieces = [request.body[:cut], request.body[cut:]] if cut else [request.body]
        incoming = iter(
            {"type": "http.request", "body": piece, "more_body": number + 1 < len(pieces)}
            for number, piece in enumerate(pieces)
        )
        sent: list[Message] = []

        async def receive() -> Message:
            return next(incoming)

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "scheme": "http",
            "http_version": "1.1",
            "method": request.method,
            "path": request.path,
            "query_string": b"",
            "headers": [
                (b"host", b"localhost"),
                *((name.encode(), value) for sent in (request.headers, request.again) for name, value in sent.items()),
            ],
        }
        await self._app(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])
