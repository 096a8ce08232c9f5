"""A client that sends mixed calls to both edges, repeats what failed, and remembers what was promised to it."""

import random
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import requests

from schemas import ids
from schemas.murmur2 import murmur2

WORKSPACE = "default"


@dataclass
class Promises:
    """What got a 200, and what may have been taken besides. Counts per id are calls."""

    accepted: set[str] = field(default_factory=set)
    attempted: set[str] = field(default_factory=set)
    logged: set[str] = field(default_factory=set)
    logs_attempted: int = 0
    changes_accepted: dict[str, int] = field(default_factory=dict)
    changes_attempted: dict[str, int] = field(default_factory=dict)
    refused_keys: int = 0
    failures: int = 0
    events: int = 0


class Client(threading.Thread):
    """One caller; ends when `stop` is set and its share of events is sent, which it spreads over `over_s` seconds."""

    def __init__(self, seed: int, urls: list[str], events: int, over_s: float, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.promises = Promises()
        self.error: BaseException | None = None
        self._chance = random.Random(seed)
        self._urls = urls
        self._events = events
        self._per_s = events / over_s
        self._halt = stop
        self._session = requests.Session()
        self._traces = [f"{seed}-{n}-{uuid.uuid4()}" for n in range(400)]

    def run(self) -> None:
        try:
            begun = time.monotonic()
            while self.promises.events < self._events or not self._halt.is_set():
                if (ahead := self.promises.events / self._per_s - (time.monotonic() - begun)) > 0:
                    self._halt.wait(min(ahead, 1))
                kind = self._chance.choices(["create", "log", "update", "delete", "reuse"], [60, 20, 12, 4, 4])[0]
                getattr(self, f"_{kind}")()
        except BaseException as error:
            self.error = error

    def _body(self, n: int) -> list[dict[str, Any]]:
        tags = {"_user": f"u{self._chance.randrange(50)}", "_environment": "production"}
        return [
            {
                "trace_id": self._chance.choice(self._traces),
                "value": self._chance.randint(-10, 10),
                "weight": self._chance.randint(0, 100) / 100,
                "metadata": {name: value for name, value in tags.items() if self._chance.random() < 0.5},
            }
            for _ in range(n)
        ]

    def _create(self) -> None:
        body, key = self._body(self._chance.choice([1, 1, 20, 100])), uuid.uuid4().hex
        self.promises.attempted |= {self._id(item, key, n) for n, item in enumerate(body)}
        reply = self._until_answered("POST", "/v1/feedback", body, key)
        assert reply.status_code == 200, reply.text
        self.promises.accepted |= set(reply.json()["feedback_ids"])
        self.promises.events += len(body)
        if self._chance.random() < 0.1:  # as a client does that has not seen the answer
            again = self._until_answered("POST", "/v1/feedback", body, key)
            assert again.json()["feedback_ids"] == reply.json()["feedback_ids"]

    def _reuse(self) -> None:
        """The same key with another body, on the same trace or on others: refused, or dead, and never merged."""
        body, key = self._body(self._chance.choice([1, 5])), uuid.uuid4().hex
        other = [item | {"metadata": {"reused": True}} for item in body]
        if self._chance.random() < 0.5:
            other = self._body(len(body))
        self.promises.attempted |= {self._id(item, key, n) for each in (body, other) for n, item in enumerate(each)}
        first = self._until_answered("POST", "/v1/feedback", body, key)
        self.promises.accepted |= set(first.json()["feedback_ids"])
        second = self._until_answered("POST", "/v1/feedback", other, key)
        assert second.status_code in (200, 409), second.text
        self.promises.refused_keys += second.status_code == 409
        self.promises.events += len(body) + len(other)

    def _log(self) -> None:
        body = [
            {
                "request": {"provider": "p", "body": {"model": f"m{self._chance.randrange(4)}"}},
                "response": {"status": 200},
                "metadata": {"trace_id": self._chance.choice(self._traces), "_prompt": f"p{self._chance.randrange(3)}"},
            }
            for _ in range(self._chance.choice([1, 5, 30]))
        ]
        reply = self._until_answered("POST", "/v1/logs", body)
        assert reply.status_code == 200, reply.text
        self.promises.logged |= set(reply.json()["ids"])
        self.promises.events += len(body)

    def _update(self) -> None:
        self._change("PUT", {"value": self._chance.randint(-10, 10)})

    def _delete(self) -> None:
        self._change("DELETE", None)

    def _change(self, method: str, body: Any) -> None:
        if not self.promises.accepted:
            return
        feedback_id = self._chance.choice(sorted(self.promises.accepted)[-300:])
        reply = self._until_answered(method, f"/v1/feedback/{feedback_id}", body)
        assert reply.status_code == 200, reply.text
        accepted = self.promises.changes_accepted
        accepted[feedback_id] = accepted.get(feedback_id, 0) + 1
        self.promises.events += 1

    def _until_answered(self, method: str, path: str, body: Any, key: str | None = None) -> requests.Response:
        """Send to either edge until one gives an answer that is not a fault of its own."""
        headers = {"Idempotency-Key": key} if key else {}
        while True:
            if path == "/v1/logs":
                self.promises.logs_attempted += len(body)
            elif method != "POST":
                attempted, feedback_id = self.promises.changes_attempted, path.rsplit("/", 1)[1]
                attempted[feedback_id] = attempted.get(feedback_id, 0) + 1
            try:
                reply = self._session.request(
                    method, self._chance.choice(self._urls) + path, json=body, headers=headers, timeout=15
                )
            except requests.RequestException:
                reply = None
            if reply is not None and reply.status_code < 500:
                return reply
            self.promises.failures += 1
            self._halt.wait(0.1)  # a client's backoff

    @staticmethod
    def _id(item: dict[str, Any], key: str, position: int) -> str:
        trace_hash = murmur2(ids.trace_key(WORKSPACE, item["trace_id"]))
        return str(ids.idempotent_id(trace_hash, WORKSPACE, key, position))
