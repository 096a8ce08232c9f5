"""A server of the tests' own: it holds calls to the edge's rules, stores each once, and fails when it is told to."""

import json
import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from feedback_client.clock import Clock
from ingest_api.settings import Settings
from ingest_api.validation import feedback, request_log
from ingest_api.validation.feedback import CallContext
from runtime.http_errors import ApiError, error_body

LIMITS = Settings().limits
CALL = CallContext("default", 1_769_860_800_123)
DECIDE = {"/v1/feedback": feedback.create, "/v1/logs": request_log.log}


@dataclass
class Failure:
    """An answer that is no success. With `after_storing`, all was stored and the answer alone is lost."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    after_storing: bool = False


class Receiver:
    """What has come in. `failures` are what the next calls are answered with."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, str], bytes]] = []
        self.failures: deque[Failure] = deque()
        self.events: dict[str, dict[str, Any]] = {}
        """What was stored, by id: an id is the same for a call that is repeated under its key."""
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self._connections: list[socket.socket] = []

    @property
    def is_running(self) -> bool:
        return self._server is not None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def keys(self) -> list[str]:
        return [headers["idempotency-key"] for _, headers, _ in self.calls]

    @property
    def trace_ids(self) -> list[str]:
        return [event["trace_id"] for event in self.events.values()]

    def start(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                receiver._connections.append(self.connection)

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, more, body = receiver.answer(self.path, headers, raw)
                self.send_response(status)
                for name, value in {**more, "content-length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Close the port and every connection, as the end of a process does."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        while self._connections:
            with suppress(OSError):  # it is closed already
                self._connections.pop().shutdown(socket.SHUT_RDWR)

    def answer(self, path: str, headers: dict[str, str], raw: bytes) -> tuple[int, dict[str, str], bytes]:
        self.calls.append((path, headers, raw))
        failure = self.failures.popleft() if self.failures else None
        if failure and not failure.after_storing:
            return failure.status, failure.headers, error_body(ApiError("told to fail", status=failure.status))
        try:
            sent = {name.encode(): value.encode() for name, value in headers.items()}
            accepted = DECIDE[path](raw, sent, CALL, LIMITS)
        except ApiError as error:
            return error.status, {}, error_body(error)
        self.events |= {
            identity: json.loads(record.value) for identity, record in zip(accepted.ids, accepted.records, strict=True)
        }
        if failure:
            return failure.status, failure.headers, b""
        return 200, {}, json.dumps({"ids": accepted.ids}).encode()


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()


class NoTime(Clock):
    """A clock on which waiting takes no time; `waits` is how long would have been waited."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self._now = 0.0

    def now(self) -> float:
        return self._now

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        self._now += seconds
        return event.is_set()
