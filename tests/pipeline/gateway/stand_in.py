"""A stand-in for a provider of models: a process that answers by path, also as no good server would.

`python -m tests.pipeline.gateway.stand_in PORT`. GET /seen gives the requests so far and empties the list; POST /go
lets waiting streams go on.
"""

import asyncio
import gzip
import json
import sys
from collections.abc import Callable
from typing import Any

PLAIN = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "gpt-4o-2024",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello there"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [{"type": "text", "text": "Hello there"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 2},
}


def chunk(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": more.pop("finish_reason", None)}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024"} | {
        "choices": [choice],
        **more,
    }


CHAT_EVENTS = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hello"}),
    chunk({"content": " there"}, finish_reason="stop"),
    {**chunk({}), "choices": [], "usage": PLAIN["usage"]},
]
MESSAGE_EVENTS = [
    {
        "type": "message_start",
        "message": {**MESSAGE, "content": [], "stop_reason": None, "usage": {"input_tokens": 5, "output_tokens": 0}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " there"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1_700_000_000,
    "status": "completed",
    "model": "gpt-5",
    "output": [
        {
            "id": "m_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hello there", "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 7,
    },
}
PLACE = {"item_id": "m_1", "output_index": 0, "content_index": 0, "logprobs": []}
RESPONSE_EVENTS = [
    {
        "type": "response.created",
        "sequence_number": 0,
        "response": {**RESPONSE, "status": "in_progress", "output": [], "usage": None},
    },
    {"type": "response.output_text.delta", "sequence_number": 1, "delta": "Hello", **PLACE},
    {"type": "response.output_text.delta", "sequence_number": 2, "delta": " there", **PLACE},
    {"type": "response.completed", "sequence_number": 3, "response": RESPONSE},
]
ANSWERS = {b"claude": MESSAGE, b"gpt-5": RESPONSE}
STREAMS = {b"claude": MESSAGE_EVENTS, b"gpt-5": RESPONSE_EVENTS}


def event(value: dict[str, Any]) -> bytes:
    name = f"event: {value['type']}\n" if "type" in value else ""
    return f"{name}data: {json.dumps(value)}\n\n".encode()


class StandIn:
    """The server: what it has seen, and the connections that were closed on it before their answer was complete."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.left = 0
        self.go = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self.answer(head.decode("latin-1"), reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = head.strip().split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = [line.split(": ", 1) for line in lines]
        named = {name.lower(): value for name, value in headers}
        path = target.partition("?")[0]
        if path == "/seen":
            told = {"requests": self.seen, "left": self.left}
            self.seen, self.left = [], 0
            return await self.write(writer, json.dumps(told).encode())
        if path == "/early":
            # Then it reads on: a connection closed at once is reset, which can overtake the answer (RFC 9112, 9.6).
            await self.write(writer, b'{"error": {"message": "too large"}}', 413)
            await self.body(named, reader)
            return None
        body = await self.body(named, reader)
        self.seen.append({"method": method, "target": target, "headers": headers, "body": body.decode("latin-1")})
        if path == "/go":
            self.go.set()
            return await self.write(writer, b"{}")
        await self.pick(path, method, body)(writer, body, reader)

    async def body(self, headers: dict[str, str], reader: asyncio.StreamReader) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            pieces = []
            while size := int((await reader.readline()).strip(), 16):
                pieces.append(await reader.readexactly(size))
                await reader.readline()
            await reader.readline()
            return b"".join(pieces)
        return await reader.readexactly(int(headers.get("content-length", 0)))

    def pick(self, path: str, method: str, body: bytes) -> Callable[..., Any]:
        if method == "HEAD":
            return self.head
        special = {
            "/slow": self.slow,
            "/half": self.half,
            "/short": self.short,
            "/echo": self.echo,
            "/gzip": self.gzipped,
            "/nothing": self.nothing,
            "/away": self.away,
            "/limited": self.limited,
            "/reset": self.reset,
            "/odd": self.odd,
        }
        first = f"/{path.split('/')[1]}"
        if first in special:
            return special[first]
        return self.stream if b'"stream": true' in body or b'"stream":true' in body else self.plain

    async def write(self, writer: asyncio.StreamWriter, body: bytes, status: int = 200, *headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Fine", f"Content-Length: {len(body)}", *headers]
        if not any(each.lower().startswith("content-type") for each in headers):
            lines.append("Content-Type: application/json")
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()

    async def begin(self, writer: asyncio.StreamWriter, kind: str = "text/event-stream; charset=utf-8") -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        await writer.drain()

    async def piece(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await writer.drain()

    async def odd(self, writer: asyncio.StreamWriter, body: bytes, _: object) -> None:
        """The status that the body names, and a header that is none."""
        await self.write(writer, b"{}", int(body), "X-Odd: a\x01b", "X-Even: a\tb")

    async def plain(self, writer: asyncio.StreamWriter, body: bytes, _: object) -> None:
        answer = next((each for name, each in ANSWERS.items() if name in body), PLAIN)
        await self.write(
            writer, json.dumps(answer).encode(), 200, "X-Request-Id: r-1", "Set-Cookie: session=hidden", "Keep-Alive: 5"
        )

    async def stream(self, writer: asyncio.StreamWriter, body: bytes, reader: asyncio.StreamReader) -> None:
        events = next((each for name, each in STREAMS.items() if name in body), CHAT_EVENTS)
        await self.begin(writer)
        for number, each in enumerate(events):
            if b"wait" in body and number == 2:
                await self.until_go(reader)
            await self.piece(writer, event(each))
        if events is CHAT_EVENTS:
            await self.piece(writer, b"data: [DONE]\n\n")
        await self.piece(writer, b"")

    async def until_go(self, reader: asyncio.StreamReader) -> None:
        """Wait for POST /go, or for the caller to leave."""
        going, leaving = asyncio.ensure_future(self.go.wait()), asyncio.ensure_future(reader.read(1))
        await asyncio.wait({going, leaving}, return_when=asyncio.FIRST_COMPLETED)
        going.cancel()
        self.go.clear()
        if leaving.done():
            self.left += 1
            raise ConnectionError
        leaving.cancel()

    async def slow(self, _: asyncio.StreamWriter, __: bytes, reader: asyncio.StreamReader) -> None:
        await self.until_go(reader)

    async def half(self, writer: asyncio.StreamWriter, *_: object) -> None:
        await self.begin(writer)
        for each in CHAT_EVENTS[:2]:
            await self.piece(writer, event(each))
        raise ConnectionError

    async def short(self, writer: asyncio.StreamWriter, *_: object) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n" + b'{"model"')
        await writer.drain()
        raise ConnectionError

    async def reset(self, *_: object) -> None:
        raise ConnectionError

    async def echo(self, writer: asyncio.StreamWriter, body: bytes, _: object) -> None:
        await self.write(writer, body, 200, "Content-Type: application/octet-stream")

    async def gzipped(self, writer: asyncio.StreamWriter, *_: object) -> None:
        await self.write(writer, gzip.compress(json.dumps(PLAIN).encode()), 200, "Content-Encoding: gzip")

    async def nothing(self, writer: asyncio.StreamWriter, *_: object) -> None:
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()

    async def head(self, writer: asyncio.StreamWriter, *_: object) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nX-Kind: head\r\n\r\n")
        await writer.drain()

    async def away(self, writer: asyncio.StreamWriter, *_: object) -> None:
        await self.write(writer, b"{}", 302, "Location: http://127.0.0.1:1/elsewhere")

    async def limited(self, writer: asyncio.StreamWriter, *_: object) -> None:
        body = b'{"error": {"message": "slow down", "type": "rate_limit"}}'
        await self.write(writer, body, 429, "Retry-After: 7", "Connection: X-Secret-Hop", "X-Secret-Hop: 1")


async def main(port: int) -> None:
    server = await asyncio.start_server(StandIn().serve, "127.0.0.1", port, limit=1_000_000)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
