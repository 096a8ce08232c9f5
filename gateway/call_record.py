"""One call as it passes: what of its request and answer is kept for the log, within limits of one and of all calls."""

import threading
import time
from enum import Enum

from gateway.call_trace import CallTrace
from gateway.passed_headers import Pairs

EVENTS = "text/event-stream"
EVENT_BYTES_PER_LOGGED = 8
"""A stream of events is that much longer than the answer it makes."""
TAIL_BYTES = 65_536
"""The end of a longer body is kept as well: it tells what the call has used."""


class CallOutcome(Enum):
    """How a call ended."""

    COMPLETE = "complete"
    CALLER_LEFT = "caller_left"
    UPSTREAM_TIMED_OUT = "upstream_timed_out"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_BROKE_OFF = "upstream_broke_off"
    REFUSED = "refused"


def is_events(content_type: str) -> bool:
    """Whether a body is a stream of server-sent events."""
    return content_type.strip().lower().startswith(EVENTS)


class HeldBytes:
    """The bytes that all calls together keep for the log. Any thread may use it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self.held = 0

    def take(self, number: int) -> bool:
        """Keep so many more; False where that would be too many."""
        with self._lock:
            if self.held + number > self._most:
                return False
            self.held += number
            return True

    def release(self, number: int) -> None:
        """Keep so many less."""
        with self._lock:
            self.held -= number


class KeptBody:
    """The beginning of a body, its last bytes where it is longer, and its size."""

    def __init__(self, held: HeldBytes, most: int) -> None:
        self.total = 0
        self.most = most
        self._held = held
        self._taken = 0
        # In one piece: many small ones would take many times the bytes that are counted.
        self._head = bytearray()
        self._is_full = self._has_tail = False
        self._tail = b""

    @property
    def head(self) -> bytes:
        """The beginning."""
        return bytes(self._head)

    @property
    def tail(self) -> bytes:
        """The last of what is not in the head."""
        return self._tail

    @property
    def is_whole(self) -> bool:
        """Whether the head is all of it."""
        return not self._is_full

    def add(self, chunk: bytes) -> None:
        """Keep what of the next piece is within the limits."""
        size = len(chunk)
        self.total += size
        if not self._is_full:
            if self.total <= self.most and self._take(size):
                self._head += chunk
                return
            self._is_full = True
            room = max(0, self.most - (self.total - size))
            if room and self._take(room):
                self._head += chunk[:room]
                chunk = chunk[room:]
            self._has_tail = self._take(TAIL_BYTES)
        if self._has_tail:
            self._tail = (self._tail + chunk)[-TAIL_BYTES:]

    def release(self) -> None:
        """Keep nothing any more."""
        self._held.release(self._taken)
        self._taken, self._head, self._tail = 0, bytearray(), b""

    def _take(self, number: int) -> bool:
        if self._held.take(number):
            self._taken += number
            return True
        return False


class CallRecord:
    """A call that passes, from its request to the end of its answer."""

    def __init__(
        self, method: str, url: str, provider: str, trace: CallTrace, headers: Pairs, held: HeldBytes, most: int
    ) -> None:
        self.method, self.url, self.provider = method, url, provider
        self.trace = trace
        self.request_headers = headers
        self.response_headers: Pairs = []
        self.status: int | None = None
        self.outcome = CallOutcome.COMPLETE
        self.started_at = time.time()
        self.took_s = 0.0
        self.request_body = KeptBody(held, most)
        self.response_body = KeptBody(held, most)
        self._began = time.perf_counter()

    def begin_response(self, status: int, headers: Pairs) -> None:
        """The head of the answer has come."""
        self.status, self.response_headers = status, headers
        if any(name.lower() == b"content-type" and is_events(value.decode("latin-1")) for name, value in headers):
            self.response_body.most *= EVENT_BYTES_PER_LOGGED

    def end(self, outcome: CallOutcome) -> None:
        """The answer is complete, or there will be no more of it."""
        self.outcome = outcome
        self.took_s = time.perf_counter() - self._began

    def release(self) -> None:
        """Let go of both bodies."""
        self.request_body.release()
        self.response_body.release()
