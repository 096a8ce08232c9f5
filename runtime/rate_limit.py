"""Rate limits of API keys for events and for questions: a token bucket for each key, in this process alone.

A bucket holds the tokens of one second and is refilled at the rate of the limit. A call takes one token before its body
is read. Once its events are counted it takes the others, and the bucket may go into debt; later calls wait until that
is paid. So a bulk call of any size passes, and over time no more events than the limit allows. A question takes one
token. Pure; the time is a parameter.
"""

from math import ceil
from typing import Literal

from runtime.api_key_authentication import Caller
from runtime.http_errors import ApiError, retry_after

Headers = list[tuple[bytes, bytes]]
Counted = Literal["events", "questions"]


class Bucket:
    """The token bucket of one key. `rate` is tokens a second; times are Unix milliseconds, and may go back."""

    def __init__(self, rate: int, now_ms: int, counted: Counted = "events") -> None:
        self.rate = rate
        self._counted = counted
        self._tokens = float(rate)
        self._at_ms = now_ms

    def admit(self, now_ms: int) -> None:
        """Take one token for a call. ApiError 429 where there is none."""
        elapsed_ms = now_ms - self._at_ms
        if elapsed_ms:
            self._tokens = min(self.rate, self._tokens + max(0, elapsed_ms) * self.rate / 1000)
            self._at_ms = now_ms
        if self._tokens < 1:
            wait_s = max(1, ceil((1 - self._tokens) / self.rate))
            raise ApiError(
                f"this key's limit of {self.rate} {self._counted} a second is used up: wait {wait_s} s",
                status=429,
                headers=retry_after(wait_s),
            )
        self._tokens -= 1

    def take(self, events: int) -> None:
        """Take tokens for that many further events, even if the bucket has fewer."""
        self._tokens -= events

    def headers(self) -> Headers:
        """The response headers: the limit, the tokens left, and the seconds until the bucket is full again."""
        missing = self.rate - self._tokens
        return [
            (b"ratelimit-limit", b"%d" % self.rate),
            (b"ratelimit-remaining", b"%d" % max(0, int(self._tokens))),
            (b"ratelimit-reset", b"%d" % ceil(missing / self.rate)),
        ]


class RateLimits:
    """The buckets of all keys. `default_per_s` is the limit of keys without their own; 0: no limit."""

    def __init__(self, default_per_s: int, counted: Counted = "events") -> None:
        self._default_per_s = default_per_s
        self._counted = counted
        self._buckets: dict[str, Bucket] = {}

    def bucket(self, caller: Caller, now_ms: int) -> Bucket | None:
        """The bucket of a caller; None where it has no limit. While the server is open, all callers share one."""
        own = caller.rate_limit_per_s if self._counted == "events" else caller.read_rate_limit_per_s
        rate = own or self._default_per_s
        if not rate:
            return None
        bucket = self._buckets.get(caller.key_id)
        if bucket is None or bucket.rate != rate:
            bucket = self._buckets[caller.key_id] = Bucket(rate, now_ms, self._counted)
        return bucket
