"""The calls that have passed and are to be logged: bounded, and written and sent by threads, so that no call waits.

One thread writes each call as a request log, and the client's own sends them in bulk to the API, under idempotency
keys, so that each is stored once. What finds no room in either queue is dropped and counted.
"""

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from queue import Full, Queue

from feedback_client import Client
from feedback_client.clock import Clock
from feedback_client.rare_log import RareLog
from gateway.call_record import CallRecord
from gateway.request_log import LogRules, request_log
from runtime.fast_metrics import Labels

log = logging.getLogger(__name__)


class LogQueue:
    """Logs calls through a client. `most` is how many may wait to be written."""

    def __init__(self, client: Client, rules: LogRules, most: int = 10_000) -> None:
        self._client = client
        self._rules = rules
        self._waiting: Queue[CallRecord | None] = Queue(most)
        self._dropped = 0
        self._full = RareLog(Clock())
        self._thread = threading.Thread(target=self._run, name="gateway logs", daemon=True)

    @property
    def counts(self) -> Mapping[Labels, float]:
        """How many logs were sent, refused and dropped, by these words."""
        counts = self._client.counts
        return {
            ("sent",): counts.sent,
            ("refused",): counts.refused,
            ("dropped",): counts.dropped + self._dropped,
        }

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, record: CallRecord) -> None:
        """Have a call logged that has ended. It never waits."""
        try:
            self._waiting.put_nowait(record)
        except Full:
            record.release()
            self._dropped += 1
            self._full.warn("a log was dropped, because more calls end than can be written")

    def stop(self, timeout: float) -> None:
        """Write and send what waits, for up to `timeout` seconds each, and drop the rest."""
        with suppress(Full):
            self._waiting.put(None, timeout=timeout)
            self._thread.join(timeout)
        self._client.close(timeout)

    def _run(self) -> None:
        while (record := self._waiting.get()) is not None:
            try:
                self._client.log(**request_log(record, self._rules))
            except ValueError as fault:
                self._client.refuse(str(fault))
            except Exception as error:
                log.exception("a call could not be written as a log")
                self._client.refuse(type(error).__name__)
            finally:
                record.release()
