"""Load for an edge: `closed_loop`, as much as it takes (Debian's `wrk`), and `open_loop`, at a rate of one's own.

Every feedback is on a trace of its own, so that calls reach all partitions.
"""

import asyncio
import json
import random
import tempfile
import time
import uuid
from collections import deque

from benchmarks.wrk import run_wrk

PATH = "/v1/feedback"
CONNECTIONS = 64
_TAGS = {"_user": "u", "text": "title was irrelevant"}

# wrk sends these bodies in turn.
_SCRIPT = """
local requests, turn = {}, 0
wrk.method, wrk.headers["Content-Type"] = "POST", "application/json"
init = function() -- Host is set by now, without which an open edge refuses all
  for line in io.lines("%s") do requests[#requests + 1] = wrk.format(nil, nil, nil, line) end
end
request = function() turn = turn %% #requests + 1 return requests[turn] end
"""


def bodies(count: int, events: int) -> list[str]:
    """So many calls, each an object for one event and an array for more."""
    chance = random.Random(count)
    made = []
    for _ in range(count):
        items = [
            {"trace_id": str(uuid.UUID(int=chance.getrandbits(128))), "value": 5, "weight": 0.5, "metadata": _TAGS}
            for _ in range(events)
        ]
        made.append(json.dumps(items if events > 1 else items[0]))
    return made


def closed_loop(port: int, sent: list[str], seconds: int) -> tuple[float, int]:
    """Calls per second over 64 connections that each wait for their answer, and calls in all.

    RuntimeError if any answer was not 200.
    """
    with tempfile.NamedTemporaryFile("w") as lines:
        lines.write("\n".join(sent))
        lines.flush()
        return run_wrk(_SCRIPT % lines.name, f"http://127.0.0.1:{port}{PATH}", CONNECTIONS, seconds)


class _Connection(asyncio.Protocol):
    """One call at a time; when it is answered, the connection is free again."""

    def __init__(self, free: "deque[_Connection]", latencies: list[float]) -> None:
        self._free = free
        self._latencies = latencies
        self._answer = b""
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def send(self, request: bytes, due: float) -> None:
        self._due = due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"not every answer was 200: {self._answer!r}")
        self._latencies.append(time.perf_counter() - self._due)
        self._answer = b""
        self._free.append(self)


def open_loop(port: int, sent: list[str], per_second: float, seconds: float) -> list[float]:
    """Latencies in seconds of calls at a fixed rate, each from the moment it was due and not from when it was sent.

    So a call that has to wait for a free connection, or that this program sends late, is as late as a user would
    find it. RuntimeError if any was not answered with 200 within ten seconds after the last.
    """
    head = f"POST {PATH} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: "
    requests = [f"{head}{len(body)}\r\n\r\n{body}".encode() for body in sent]
    return asyncio.run(_send_when_due(port, requests, per_second, int(per_second * seconds)))


async def _send_when_due(port: int, requests: list[bytes], per_second: float, count: int) -> list[float]:
    loop = asyncio.get_running_loop()
    free: deque[_Connection] = deque()
    latencies: list[float] = []
    for _ in range(4 * CONNECTIONS):
        _, connection = await loop.create_connection(lambda: _Connection(free, latencies), "127.0.0.1", port)
        free.append(connection)
    start = time.perf_counter() + 0.1
    number = 0
    while number < count:
        due = start + number / per_second
        wait = due - time.perf_counter()
        if wait > 0 or not free:
            await asyncio.sleep(max(0.0, min(wait, 0.001)))
            continue
        free.popleft().send(requests[number % len(requests)], due)
        number += 1
    deadline = time.perf_counter() + 10
    while len(latencies) < count:
        if time.perf_counter() > deadline:
            raise RuntimeError(f"{count - len(latencies)} calls were not answered with 200")
        await asyncio.sleep(0.01)
    return latencies
