"""Load for a gateway: calls one after the other, streams one after the other, and as much as it takes (`wrk`)."""

import http.client
import json
import time

from benchmarks.wrk import run_wrk

PATH = "/v1/chat/completions"
CONNECTIONS = 16
HEADERS = {"content-type": "application/json", "authorization": "Bearer sk-measured"}

_ASKED = {
    "model": "gpt-4o",
    "messages": [
        {"role": "system", "content": "You give titles to articles."},
        {"role": "user", "content": "An article about the rain. " * 20},
    ],
}
CALL, STREAM = (json.dumps({**_ASKED, **more}) for more in ({}, {"stream": True}))

_SCRIPT = """
wrk.method, wrk.body = "POST", [[%s]]
wrk.headers["Content-Type"], wrk.headers["Authorization"] = "application/json", "Bearer sk-measured"
"""


def calls(port: int, count: int) -> list[float]:
    """Milliseconds from sending a call until its answer is read, one call after the other on one connection."""
    return _times(port, CALL, count, whole=True)


def first_bytes(port: int, count: int) -> list[float]:
    """Milliseconds from sending a call until the first byte of its stream."""
    return _times(port, STREAM, count, whole=False)


def _times(port: int, body: str, count: int, *, whole: bool) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    times = []
    try:
        for _ in range(count):
            began = time.perf_counter()
            connection.request("POST", PATH, body, HEADERS)
            answer = connection.getresponse()
            answer.read() if whole else answer.read1(1)
            times.append((time.perf_counter() - began) * 1000)
            if answer.status != 200:
                raise RuntimeError(f"answered {answer.status}: {answer.read(300)!r}")
            answer.read()
    finally:
        connection.close()
    return times


def closed_loop(port: int, seconds: int) -> tuple[float, int]:
    """Calls per second over connections that each wait for their answer, and calls in all."""
    return run_wrk(_SCRIPT % CALL, f"http://127.0.0.1:{port}{PATH}", CONNECTIONS, seconds)
