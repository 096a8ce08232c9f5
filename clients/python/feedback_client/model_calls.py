"""Calls to models that an app makes, logged from what passes through its HTTP client.

Nothing here raises in the app, changes a call or keeps it waiting. No header but the content type is logged, and of a
URL neither query nor user: they may hold credentials.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from feedback_client.client import Client
from feedback_client.default_client import default_client
from feedback_client.rare_log import log
from feedback_client.storable import MAX_DEPTH, check_storable
from feedback_client.streamed_answers import assembled
from feedback_client.trace import TRACE_HEADER, Trace, trace_at_hand

MODEL_PATHS = (
    "/chat/completions",
    "/completions",
    "/responses",
    "/messages",
    "/embeddings",
    ":generateContent",
    ":streamGenerateContent",
)
DEFAULT_BODY_BYTES = 256_000
PROVIDERS = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.mistral.ai": "mistral-ai",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "openrouter.ai": "openrouter",
    "generativelanguage.googleapis.com": "google",
}
NO_ANSWER, TIMED_OUT = 502, 504
"""The statuses that stand in a log where the provider did not answer."""

_PREFIX_CHARS = 1_000
# Of a longer answer neither model nor usage is read: reading it would hold up an event loop.
_MOST_READ_BYTES = 1_000_000
_PIECE = 4_096
# Those of a whole call but for its array, the item, and request or response.
_BODY_LEVELS = MAX_DEPTH - 3
# What of a body that is too large to be logged is logged all the same.
_FACTS = ("model", "user", "usage", "error")

Decode = Callable[[Iterable[bytes]], Iterator[bytes]]
"""Undoes the coding of an answer, piece by piece."""


@dataclass(frozen=True)
class CallLogger:
    """Says which calls are logged, and where to.

    These are POSTs of JSON to a path of a model, and all POSTs of JSON to the `hosts` named. Without a `client`, the
    default client of the process sends them. `max_body_bytes` is the most that is logged of a body.
    """

    client: Client | None = None
    hosts: frozenset[str] = frozenset()
    max_body_bytes: int = DEFAULT_BODY_BYTES

    def begin(
        self, method: str, url: str, content_type: str, body: Callable[[], bytes | None], sent_trace_id: str | None
    ) -> "ModelCall | None":
        """The call to be logged that begins now; None where it is none."""
        with never_raising():
            parts = urlsplit(url)
            if method.upper() != "POST" or not _is_json(content_type):
                return None
            if parts.hostname not in self.hosts and not parts.path.rstrip("/").endswith(MODEL_PATHS):
                return None
            host = parts.hostname or ""
            request = {
                "url": urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")),
                "method": "post",
                "provider": PROVIDERS.get(host, host),
                "headers": {"content-type": content_type},
                "body": self.read_body(body(), content_type),
            }
            return ModelCall(self, request, trace_at_hand(), sent_trace_id)
        return None

    def send(self, call: "ModelCall", response: dict[str, Any]) -> None:
        """Queue the log of a call that has ended."""
        client = self.client or default_client()
        try:
            client.log(
                request=call.request,
                response=response,
                trace_id=call.trace_id,
                metadata=call.trace.tags,
                started_at=call.started_at,
            )
        except ValueError as fault:
            client.refuse(str(fault))

    def read_body(self, body: bytes | None, content_type: str, total: int | None = None) -> Any:
        """A body as it is logged. `total` is its size where only the beginning is at hand."""
        if body is None:
            return None
        total = len(body) if total is None else total
        text = body.decode(errors="replace").replace("\0", "\ufffd")
        value: Any = None
        if total <= _MOST_READ_BYTES or _is_events(content_type):
            value = _parsed(text, content_type)
        if total <= self.max_body_bytes:
            return value
        facts = {name: value[name] for name in _FACTS if name in value} if isinstance(value, dict) else {}
        return {**facts, "$truncated": {"bytes": total, "prefix": text[:_PREFIX_CHARS]}}


class ModelCall:
    """One call that is being made: what was asked, and what has come back so far."""

    def __init__(self, logger: CallLogger, request: dict[str, Any], trace: Trace, sent_trace_id: str | None) -> None:
        self.request = request
        self.trace = trace
        self.trace_id = sent_trace_id or trace.trace_id
        self.started_at = time.time()
        self._logger = logger
        self._began = time.perf_counter()
        self._status, self._content_type = NO_ANSWER, ""
        self._decode: Decode = iter
        self._kept = bytearray()
        self._received_bytes = 0
        self._has_ended = False

    def answered(self, status: int, content_type: str, decode: Decode = iter) -> None:
        """The head of the answer has come. `decode` undoes the coding of the pieces that will be received."""
        self._status, self._content_type, self._decode = status, content_type, decode

    def receive(self, chunk: bytes) -> None:
        """A piece of the answer has come."""
        self._received_bytes += len(chunk)
        if len(self._kept) < _MOST_READ_BYTES:
            self._kept += chunk[: _MOST_READ_BYTES - len(self._kept)]

    def end(self) -> None:
        """The answer is complete, or nobody reads on: log the call."""
        if not self._has_ended:
            self._has_ended = True
            with never_raising():
                self._logger.send(self, self._response(self._body()))

    def fail(self, error: BaseException) -> None:
        """The call, or its answer, ended in an error: log its type. Its text may hold credentials."""
        if not self._has_ended:
            self._has_ended = True
            with never_raising():
                name = type(error).__name__
                self._status = TIMED_OUT if "Timeout" in name else NO_ANSWER
                self._logger.send(self, self._response({"error": {"type": name}}))

    def _response(self, body: Any) -> dict[str, Any]:
        return {
            "status": self._status,
            "response_time": round((time.perf_counter() - self._began) * 1000, 3),
            "headers": {"content-type": self._content_type},
            "body": body,
        }

    def _body(self) -> Any:
        if not (_is_json(self._content_type) or self._content_type.startswith("text/")):
            return None
        decoded = bytearray()
        for piece in self._decode(bytes(self._kept[at : at + _PIECE]) for at in range(0, len(self._kept), _PIECE)):
            decoded += piece
            # A small answer may unpack to one that fills the memory.
            if len(decoded) > _MOST_READ_BYTES:
                break
        total = max(len(decoded), self._received_bytes if self._received_bytes > len(self._kept) else 0)
        return self._logger.read_body(bytes(decoded[:_MOST_READ_BYTES]), self._content_type, total)


@contextmanager
def never_raising() -> Iterator[None]:
    """Log an exception of ours instead of having the app's call fail from it."""
    try:
        yield
    except Exception:
        log.exception("a call to a model is not logged")


def trace_id_in(headers: Iterable[tuple[str, str]]) -> str | None:
    """The trace id that a call sends along itself, if any."""
    return next((value for name, value in headers if name.lower() == TRACE_HEADER and value), None)


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def _is_events(content_type: str) -> bool:
    return content_type.lower().startswith("text/event-stream")


def _parsed(text: str, content_type: str) -> Any:
    """What a body says: JSON, or the answer that events make; its text where that is none, or cannot be stored."""
    try:
        value = assembled(text) if _is_events(content_type) else json.loads(text)
        check_storable(value, "a body", _BODY_LEVELS)
    except (ValueError, RecursionError):
        return text
    return value
