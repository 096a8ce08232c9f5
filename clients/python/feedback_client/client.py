"""The client: checks what an app says, queues it, and has one background thread send it.

Only `flush` and `close` wait for the server, and the app never notices that a server fails. A forked child starts with
an empty queue and a thread of its own. When the process ends, what is queued is sent first, for a few seconds.
"""

import asyncio
import atexit
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx

from feedback_client.clock import Clock
from feedback_client.http_post import Poster
from feedback_client.items import Item, feedback_item, log_item
from feedback_client.rare_log import RareLog
from feedback_client.send_queue import Counts, SendQueue
from feedback_client.sender import Sender
from feedback_client.trace import current_trace, specials

DEFAULT_URL = "http://127.0.0.1:8787"
URL_SETTING, KEY_SETTING = "FEEDBACK_URL", "FEEDBACK_API_KEY"

_open: set["Client"] = set()


class Client:
    """Sends feedback and request logs to one server.

    `base_url` and `api_key` come from FEEDBACK_URL and FEEDBACK_API_KEY where they are not given. At most `max_items`
    items and `max_bytes` bytes are held; what comes when the queue is full is dropped and counted. A call waits
    `linger_s` for more items to join it. At the end of the process the queue is sent for up to `exit_timeout_s`.
    """

    _thread: threading.Thread | None

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        max_items: int = 10_000,
        max_bytes: int = 32_000_000,
        linger_s: float = 0.2,
        timeout_s: float = 30.0,
        exit_timeout_s: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        self._base_url = _checked_url(base_url or os.environ.get(URL_SETTING) or DEFAULT_URL)
        self._api_key = _checked_key(api_key or os.environ.get(KEY_SETTING) or None)
        self._max_items, self._max_bytes, self._linger_s = max_items, max_bytes, linger_s
        self._timeout_s, self._exit_timeout_s = timeout_s, exit_timeout_s
        self._clock = clock or Clock()
        # Here and not in the thread, because it imports: a child forked meanwhile would have half of a module.
        self._posts: Poster | None = self._new_posts()
        self._begin()
        _open.add(self)

    @property
    def counts(self) -> Counts:
        """How many items were queued, sent, refused and dropped, and how many calls were repeated."""
        return self._queue.counts

    def feedback(
        self,
        value: int,
        weight: float = 1.0,
        *,
        trace_id: str | None = None,
        text: str | None = None,
        user: str | None = None,
        organisation: str | None = None,
        prompt: str | None = None,
        environment: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Queue a feedback on a trace, that of this context if none is given; its trace id.

        `value` is a whole number from -10 to 10, `weight` a number from 0 to 1; `text` is stored as `comment` in the
        metadata. ValueError for what the server would refuse.
        """
        trace = current_trace() if trace_id is None else None
        told = {} if text is None else {"comment": text}
        given = _together(trace.tags if trace else {}, metadata)
        given |= {**told, **specials(user, organisation, prompt, environment)}
        about = trace.trace_id if trace else trace_id
        assert about is not None
        self._put(feedback_item(about, value, weight, given))
        return about

    def log(
        self,
        *,
        request: Mapping[str, Any],
        response: Mapping[str, Any],
        trace_id: str | None = None,
        span_id: str | None = None,
        parent_span_id: str | None = None,
        span_name: str | None = None,
        user: str | None = None,
        organisation: str | None = None,
        prompt: str | None = None,
        environment: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        cost: float | None = None,
        started_at: float | None = None,
    ) -> str:
        """Queue the log of one request to a model, in the trace of this context if none is given; its trace id.

        `request` has `url`, `method`, `provider`, `headers` and `body`; `response` has `status`, `response_time` in
        milliseconds, `headers` and `body`. `cost` is in US cents, `started_at` in Unix seconds. ValueError for what the
        server would refuse.
        """
        trace = current_trace() if trace_id is None else None
        given = _together(trace.tags if trace else {}, metadata)
        given |= specials(user, organisation, prompt, environment)
        about = trace.trace_id if trace else trace_id
        assert about is not None
        span = {"span_id": span_id, "parent_span_id": parent_span_id, "span_name": span_name}
        began = _start_of(response) if started_at is None else started_at
        self._put(log_item(request, response, about, began, given, span, cost))
        return about

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that is queued now is sent, refused or dropped; False where `timeout` seconds were too few."""
        return self._queue.flush(timeout)

    async def aflush(self, timeout: float | None = None) -> bool:
        """The same without blocking the event loop."""
        return await asyncio.to_thread(self.flush, timeout)

    def close(self, timeout: float | None = None) -> None:
        """Send what is queued, for `timeout` seconds or `exit_timeout_s`, drop the rest, and end the thread."""
        _open.discard(self)
        thread = self._thread
        if thread is not None:
            self.flush(self._exit_timeout_s if timeout is None else timeout)
        left = self._queue.close()
        self._sender.close()
        if left:
            self._dropped.warn("items were dropped, because the client was closed before they could be sent", left)
        if thread is not None:
            thread.join(1.0)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def refuse(self, why: str) -> None:
        """Count a log that a hook could not make, and say why. Hooks raise nothing in the app."""
        self._queue.refuse()
        self._faulty.warn(f"a call to a model is not logged: {why}")

    def _put(self, item: Item) -> None:
        if not self._queue.put(item):
            self._dropped.warn("an item was dropped, because the client's queue is full or the client is closed")
        elif self._thread is None:
            self._start_thread()

    def _start_thread(self) -> None:
        with self._starting:
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._sender.run, name="feedback-client", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is ending, and starts no thread any more
                left = self._queue.close()
                self._dropped.warn("items were dropped, because they came when the process was ending", left)
            else:
                self._thread = thread

    def _begin(self) -> None:
        """Start with an empty queue and no thread, as a new client and a forked child do."""
        self._queue = SendQueue(self._max_items, self._max_bytes, self._linger_s)
        self._sender = Sender(self._queue, self._connect, self._clock)
        self._starting = threading.Lock()
        self._thread = None
        self._dropped, self._faulty = RareLog(self._clock), RareLog(self._clock)

    def _connect(self) -> Poster:
        """What the thread posts with. Connections of the parent are not a forked child's, which makes its own."""
        posts, self._posts = self._posts, None
        return posts or self._new_posts()

    def _new_posts(self) -> Poster:
        return Poster(self._base_url, self._api_key, self._timeout_s)


def _start_of(response: Mapping[str, Any]) -> float:
    """When a request began that has just been answered."""
    took_ms = response.get("response_time") if isinstance(response, Mapping) else None
    return time.time() - (min(took_ms, 1e9) / 1000 if isinstance(took_ms, int | float) else 0.0)


def _together(tags: Mapping[str, Any], metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    if metadata is not None and not isinstance(metadata, Mapping):
        raise ValueError(f"metadata must be a mapping of names to JSON values, got {type(metadata).__name__}")
    return {**tags, **(metadata or {})}


def _checked_url(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError(
            f"base_url ({URL_SETTING}) must begin with http:// or https://, got {url.rpartition('@')[2]!r}"
        )
    try:
        parts = httpx.URL(url)
        is_place = bool(parts.host) and (parts.port or 1) < 65_536
    except (httpx.InvalidURL, ValueError):
        is_place = False
    if not is_place:
        raise ValueError(f"base_url ({URL_SETTING}) must name a host and a port, as in http://127.0.0.1:8787")
    return url.rstrip("/").removesuffix("/v1")


def _checked_key(key: str | None) -> str | None:
    if key is not None and not (key.isascii() and key.isprintable() and key == key.strip()):
        raise ValueError(f"api_key ({KEY_SETTING}) has characters that no key has: give the key as it was printed")
    return key


def flush_all(timeout: float) -> None:
    """Wait until every client of this process has sent what is queued, for `timeout` seconds in all."""
    deadline = time.monotonic() + timeout
    for client in list(_open):
        client.flush(max(0.0, deadline - time.monotonic()))


def _close_all() -> None:
    for client in list(_open):
        client.close()


def _begin_all() -> None:
    for client in list(_open):
        client._begin()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all)
