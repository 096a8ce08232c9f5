"""A publishing endpoint when its own code fails, and when clients leave early."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from ingest_api.access.access_control import AccessControl
from ingest_api.http.body_room import BodyRoom
from ingest_api.http.dialects import Dialect
from ingest_api.http.publish_endpoint import Message, PublishingEndpoint
from ingest_api.http.telemetry import EndpointTelemetry
from ingest_api.kafka.publisher import Publisher
from ingest_api.records import Accepted
from ingest_api.settings import Settings
from runtime.api_key_authentication import ApiKeyAuthenticator, Caller
from runtime.log_setup import FloodFilter, JsonFormatter
from runtime.rate_limit import RateLimits


def failing(_: str, __: Mapping[bytes, bytes], body: bytes, ___: Caller) -> Accepted:
    raise KeyError("the secret of " + body.decode())


async def messages_sent(*messages: dict[str, Any]) -> list[Message]:
    """What a faulty endpoint sends for a request that arrives in these messages."""
    authenticator = ApiKeyAuthenticator("nowhere")
    authenticator.mark_fresh(0)
    access_control = AccessControl(authenticator, RateLimits(0), "feedback.write", lambda: 0, lambda: "")
    telemetry = EndpointTelemetry("POST", "/", "create")
    dialect = Dialect(failing, lambda _: b"")
    endpoint = PublishingEndpoint(
        Publisher(Settings()), access_control, 100, lambda _: dialect, telemetry, BodyRoom(100_000)
    )
    incoming = iter(messages)
    sent: list[Message] = []

    async def receive() -> Message:
        return next(incoming)

    async def send(message: Message) -> None:
        sent.append(message)

    await endpoint({"type": "http", "method": "POST", "path": "/", "headers": []}, receive, send)
    return sent


async def test_an_internal_error_is_a_500_that_only_names_the_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.handler.setFormatter(JsonFormatter())
    start, body = await messages_sent({"type": "http.request", "body": b"mine", "more_body": False})
    headers = dict(start["headers"])
    answer = json.loads(body["body"])
    request_id = headers[b"x-portkey-request-id"].decode()
    assert (start["status"], answer["error"]["code"]) == (500, "AB04")
    assert headers[b"x-request-id"].decode() == request_id
    assert request_id in answer["message"]
    assert b"secret" not in body["body"]
    cause, refused = map(json.loads, caplog.text.splitlines())
    assert (cause["request_id"], cause["error"], refused["reason"]) == (request_id, "KeyError", "internal")
    assert cause["at"][0].startswith("tests/unit/ingest_api/test_publish_endpoint.py:")
    assert "secret" not in caplog.text


async def test_every_500_of_a_flood_has_its_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.setFormatter(JsonFormatter())
    caplog.handler.addFilter(flood := FloodFilter())
    try:
        answers = [await messages_sent({"type": "http.request", "body": b"mine"}) for _ in range(200)]
    finally:
        caplog.handler.removeFilter(flood)
    ids = [dict(start["headers"])[b"x-request-id"].decode() for start, _ in answers]
    lines = [json.loads(line) for line in caplog.text.splitlines()]
    assert [line["request_id"] for line in lines if line["message"] == "internal error"] == ids
    assert sum(line["message"] == "refused" for line in lines) < 30, "only lines marked as promised are exempt"


async def test_a_client_that_leaves_before_its_body_is_complete_gets_no_answer() -> None:
    assert await messages_sent({"type": "http.disconnect"}) == []
    partial = {"type": "http.request", "body": b"x", "more_body": True}
    assert await messages_sent(partial, {"type": "http.disconnect"}) == []
