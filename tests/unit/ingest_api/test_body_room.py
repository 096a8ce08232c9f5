"""What bodies take together is bounded, and given back however their calls end; small bodies are always taken."""

import asyncio
import json
from typing import Any

import pytest

from ingest_api.http.body_room import LARGE_BYTES
from ingest_api.http.publish_endpoint import Message
from tests.unit.ingest_api.otlp_edge import OtlpEdge

ROOM = 10_000_000
LARGE = json.dumps([{"request": {"body": "x" * 4_000_000}, "response": {}}]).encode()
SMALL = b'{"trace_id": "t", "value": 1}'


class Upload:
    """A call whose body comes in two pieces, the second of which may wait."""

    def __init__(self, edge: OtlpEdge, path: str, body: bytes) -> None:
        self.go, self.status = asyncio.Event(), 0
        self._pieces = [body[:-10], body[-10:]]
        scope = {
            "type": "http", "scheme": "http", "http_version": "1.1", "method": "POST", "path": path, "raw_path": b"",
            "query_string": b"", "headers": [(b"host", b"localhost")],
        }  # fmt: skip
        self.call = asyncio.create_task(edge.app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        if len(self._pieces) == 1:
            await self.go.wait()
        piece = self._pieces.pop(0) if self._pieces else None
        return {"type": "http.disconnect"} if not piece else {
            "type": "http.request", "body": piece, "more_body": bool(self._pieces)
        }  # fmt: skip

    async def _send(self, message: Message) -> None:
        self.status = message.get("status", self.status)

    def leave(self) -> None:
        """Close the connection before the body is complete."""
        self._pieces[:] = [b""]
        self.go.set()


async def ended(*uploads: Upload) -> list[int]:
    await asyncio.gather(*(each.call for each in uploads))
    return [each.status for each in uploads]


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("leaves", [False, True])
async def test_large_bodies_take_no_more_than_the_room_and_give_it_back(leaves: bool) -> None:
    edge = OtlpEdge(max_held_body_bytes=ROOM)
    waiting = [Upload(edge, "/v1/logs", LARGE) for _ in range(2)]
    await turns()
    assert await ended(Upload(edge, "/v1/logs", LARGE)) == [503]
    small = Upload(edge, "/v1/feedback", SMALL)
    small.go.set()
    assert await ended(small) == [200]
    for each in waiting:
        each.leave() if leaves else each.go.set()
    assert await ended(*waiting) == ([0, 0] if leaves else [200, 200])
    later: Any = [Upload(edge, "/v1/logs", LARGE) for _ in range(2)]
    for each in later:
        each.go.set()
    assert await ended(*later) == [200, 200]


async def test_a_call_that_is_cut_off_gives_its_room_back() -> None:
    edge = OtlpEdge(max_held_body_bytes=ROOM)
    waiting = [Upload(edge, "/v1/logs", LARGE) for _ in range(2)]
    await turns()
    for each in waiting:
        each.call.cancel()
    await asyncio.gather(*(each.call for each in waiting), return_exceptions=True)
    later = Upload(edge, "/v1/logs", LARGE)
    later.go.set()
    assert await ended(later) == [200]


async def test_bodies_of_usual_size_take_no_room() -> None:
    edge = OtlpEdge(max_held_body_bytes=ROOM)
    body = json.dumps({"trace_id": "t", "value": 1, "metadata": {"a": "x" * (LARGE_BYTES - 1_000)}}).encode()
    waiting = [Upload(edge, "/v1/feedback", body) for _ in range(ROOM // len(body) + 20)]
    await turns()
    for each in waiting:
        each.go.set()
    assert {*await ended(*waiting)} == {200}
