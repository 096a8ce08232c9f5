"""What a gateway stands before when it is measured: a provider that answers at once, and an API that takes every log.

Served by `uvicorn benchmarks.gateway_upstream:provider` and `:api`.
"""

import asyncio
import json
from typing import Any

EVENTS = 20
PAUSE_S = 0.005

_ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gpt-4o",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "A fair title. " * 40}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 40, "completion_tokens": 160, "total_tokens": 200},
    }
).encode()
_JSON = [(b"content-type", b"application/json")]


def _event(delta: dict[str, Any], **more: Any) -> bytes:
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "gpt-4o",
        "choices": [{"index": 0, "delta": delta, "finish_reason": more.get("finish_reason")}],
    }
    return f"data: {json.dumps(chunk)}\n\n".encode()


_STREAM = [
    _event({"role": "assistant", "content": "A "}),
    *(_event({"content": "word "}) for _ in range(EVENTS - 2)),
    _event({}, finish_reason="stop"),
]


async def _body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def provider(scope: Any, receive: Any, send: Any) -> None:
    """A chat completion of 600 bytes at once, or a stream whose first event comes at once."""
    if scope["type"] != "http":
        return
    body = await _body(receive)
    if b'"stream": true' not in body and b'"stream":true' not in body:
        length = (b"content-length", b"%d" % len(_ANSWER))
        await send({"type": "http.response.start", "status": 200, "headers": [*_JSON, length]})
        await send({"type": "http.response.body", "body": _ANSWER})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for each in _STREAM:
        await send({"type": "http.response.body", "body": each, "more_body": True})
        await asyncio.sleep(PAUSE_S)
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


async def api(scope: Any, receive: Any, send: Any) -> None:
    """Takes logs."""
    if scope["type"] == "http":
        await _body(receive)
        await send({"type": "http.response.start", "status": 200, "headers": _JSON})
        await send({"type": "http.response.body", "body": b'{"status":"success"}'})
