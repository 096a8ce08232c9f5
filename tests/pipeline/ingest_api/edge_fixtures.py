"""An edge and a broker of a test's own, both of which it may stop, freeze and kill."""

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from aiokafka import AIOKafkaConsumer, TopicPartition
from pydantic import TypeAdapter

from deploy.embedded.broker import command, wait_until_ready
from deploy.kafka.broker import free_ports
from operations.topics import create_topics
from schemas.events import FeedbackEvent
from schemas.ids import partition_of, trace_key
from schemas.murmur2 import murmur2
from tests.pipeline.engines import PARTITIONS, Process, until

_FEEDBACK: TypeAdapter[Any] = TypeAdapter(FeedbackEvent)
Headers = dict[str, str] | None


class Broker(Process):
    """The embedded broker on a port that stays, with topics made anew at each start: it keeps nothing."""

    def __init__(self, folder: Path) -> None:
        (self.port,) = free_ports(1)
        self.bootstrap = f"127.0.0.1:{self.port}"
        super().__init__(command("127.0.0.1", self.port), folder / "broker.log")
        self.create_topics()

    def create_topics(self) -> None:
        asyncio.run(wait_until_ready(self.bootstrap))
        asyncio.run(create_topics(self.bootstrap, PARTITIONS))

    def restart(self) -> None:
        """Come back after a kill, empty, on the same port."""
        self.start()
        self.create_topics()

    def records(self, topic: str, count: int) -> list[Any]:
        """The first `count` records of a topic or more, in each partition's order; fails if they do not come."""
        return asyncio.run(self._records(topic, count))

    async def _records(self, topic: str, count: int) -> list[Any]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        found: list[Any] = []
        try:
            consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
            deadline = time.monotonic() + 30
            while len(found) < count:
                if time.monotonic() > deadline:
                    pytest.fail(f"{topic} has {len(found)} records, not {count}")
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    found.extend(batch)
        finally:
            await consumer.stop()
        return found


class Edge(Process):
    """An edge as users run it."""

    argv = (sys.executable, "-m", "ingest_api")

    def __init__(self, folder: Path, bootstrap: str, **environment: str) -> None:
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__(
            list(self.argv),
            folder / "edge.log",
            {
                "FEEDBACK_PORT": str(self.port),
                "FEEDBACK_KAFKA_BOOTSTRAP": bootstrap,
                "FEEDBACK_KAFKA_IDEMPOTENCE": "false",
                **environment,
            },
        )

    def until_listening(self) -> None:
        until(lambda: self.get("/healthz").status_code == 200, "the edge listens")

    def until_ready(self) -> None:
        until(lambda: self.get("/readyz").status_code == 200, "the edge is ready")

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=10)

    def call(self, method: str, path: str, body: Any = None, headers: Headers = None) -> requests.Response:
        """One call; a body that is bytes goes as it is."""
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return requests.request(method, self.url + path, data=raw, headers=headers, timeout=30)

    def post(self, path: str, body: Any, headers: Headers = None) -> requests.Response:
        return self.call("POST", path, body, headers)

    def saved(self, body: Any, path: str = "/v1/feedback", headers: Headers = None) -> list[str]:
        """Post and insist on acceptance; the ids."""
        reply = self.post(path, body, headers)
        assert reply.status_code == 200, reply.text
        answer = reply.json()
        ids: list[str] = answer.get("feedback_ids") or answer["ids"]
        return ids

    def together(self, *bodies: Any, path: str = "/v1/feedback") -> list[tuple[requests.Response, float]]:
        """Post at the same time; each reply and the seconds it took, in order."""

        def timed(body: Any) -> tuple[requests.Response, float]:
            start = time.monotonic()
            reply = self.post(path, body)
            return reply, time.monotonic() - start

        with ThreadPoolExecutor(len(bodies)) as threads:
            return list(threads.map(timed, bodies))


def trace_in(partition: int) -> str:
    """A trace id whose events go to this partition."""
    return next(
        trace_id
        for trace_id in map(str, range(10_000))
        if partition_of(murmur2(trace_key("default", trace_id)), PARTITIONS) == partition
    )


def failed(reply: requests.Response, status: int, code: str) -> dict[str, Any]:
    """Insist on the one error body; its `error` part."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    body = reply.json()
    error: dict[str, Any] = body["error"]
    assert (body["status"], body["success"], error["code"]) == ("failure", False, code)
    assert error["message"] == body["message"] == body["data"]["message"]
    assert body["data"]["errorCode"] == code
    assert "Traceback" not in reply.text
    return error


def feedback_ids(records: list[Any]) -> list[str]:
    """The feedback each record is about."""
    return [_FEEDBACK.validate_json(record.value).feedback_id for record in records]
