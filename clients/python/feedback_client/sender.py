"""The background thread's work: take items from the queue, post them in bulk, repeat what may succeed later.

A bulk call is repeated under one idempotency key with the same bytes, so that the server stores it once. What is
refused together is sent again in halves, until each item at fault stands alone and the others are stored.
"""

import threading
import uuid
from collections.abc import Callable
from random import random
from typing import Protocol

from feedback_client.answers import MOST_FAILURES, Answer, Verdict, pause_after, verdict
from feedback_client.clock import Clock
from feedback_client.items import Item
from feedback_client.rare_log import RareLog, log
from feedback_client.send_queue import SendQueue


class Posts(Protocol):
    """What sends one call."""

    def post(self, path: str, body: bytes, idempotency_key: str) -> Answer: ...

    def close(self) -> None: ...


class Sender:
    """Sends what is in a queue until that is closed. `connect` is called in the thread that sends."""

    def __init__(self, queue: SendQueue, connect: Callable[[], Posts], clock: Clock) -> None:
        self._queue = queue
        self._connect = connect
        self._clock = clock
        self._closing = threading.Event()
        self._unreachable, self._refused, self._given_up = RareLog(clock), RareLog(clock), RareLog(clock)

    def close(self) -> None:
        """End every wait; what is not sent by then is dropped."""
        self._closing.set()

    def run(self) -> None:
        """Send until the queue is closed. No failure ends it."""
        try:
            posts = self._connect()
        except Exception:
            log.exception("nothing can be sent: what is queued is dropped")
            self._queue.close()
            return
        try:
            while (bulk := self._queue.take()) is not None:
                self._deliver(posts, bulk)
        finally:
            posts.close()

    def _deliver(self, posts: Posts, bulk: list[Item]) -> None:
        parts = [bulk]
        while parts:
            part = parts.pop()
            try:
                decision = self._post_until_decided(posts, part)
            except Exception:
                log.exception("%d items could not be sent", len(part))
                decision = None
            if decision is None:
                self._queue.settle(part)
                continue
            decided, answer = decision
            if decided is Verdict.SPLIT:
                half = len(part) // 2
                parts += [part[half:], part[:half]]
                continue
            if decided is Verdict.REFUSED:
                self._refused.warn(f"the server refused what was sent to {part[0].path}: {answer.message}", len(part))
            if decided is Verdict.GIVE_UP:
                self._given_up.warn(
                    f"the server failed on a call to {part[0].path} {MOST_FAILURES} times, and it is given up:"
                    f" {answer.message}",
                    len(part),
                )
            self._queue.settle(part, sent=decided is Verdict.ACCEPTED, refused=decided is Verdict.REFUSED)

    def _post_until_decided(self, posts: Posts, part: list[Item]) -> tuple[Verdict, Answer] | None:
        """What follows from a call and its last answer, after as many attempts as it takes; None where the client is
        closed."""
        body = b"[" + b",".join(each.body for each in part) + b"]"
        key = str(uuid.uuid4())
        attempt = failures = 0
        while not self._closing.is_set():
            answer = posts.post(part[0].path, body, key)
            failures += answer.is_failure
            decided = verdict(answer, len(part), failures)
            if decided is not Verdict.RETRY:
                return decided, answer
            self._unreachable.warn(f"the server did not take a call to {part[0].path}, trying again: {answer.message}")
            if self._clock.wait(self._closing, pause_after(attempt, answer, random())):
                break
            attempt += 1
            self._queue.repeated()
        return None
