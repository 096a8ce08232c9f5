"""Fixtures: `gateway`, a running gateway between a stand-in for a provider and a receiver with the edge's rules."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.kafka.broker import free_ports
from tests.clients.receiver import Receiver, receiving
from tests.pipeline.engines import Process, answers, until
from tests.pipeline.running import Numbers, scraped


class Gateway:
    """A gateway process, its stand-in and what it logs."""

    def __init__(self, folder: Path, api: str, receiver: Receiver | None = None, **settings: str) -> None:
        self._receiver = receiver
        port, self.upstream_port, metrics_port = free_ports(3)
        self.url, self.upstream_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{self.upstream_port}"
        self.port = port
        self._metrics_url = f"http://127.0.0.1:{metrics_port}"
        self.upstream = Process(
            [sys.executable, "-m", "tests.pipeline.gateway.stand_in", str(self.upstream_port)], folder / "stand_in.log"
        )
        self.process = Process(
            [sys.executable, "-m", "gateway"],
            folder / "gateway.log",
            {
                "FEEDBACK_URL": api,
                "FEEDBACK_GATEWAY_UPSTREAM": self.upstream_url,
                "FEEDBACK_GATEWAY_PORT": str(port),
                "FEEDBACK_METRICS_PORT": str(metrics_port),
                "HTTP_PROXY": "http://127.0.0.1:1",
                "NO_PROXY": api.removeprefix("http://"),
                **settings,
            },
        )

    @property
    def receiver(self) -> Receiver:
        assert self._receiver
        return self._receiver

    def until_ready(self) -> None:
        until(lambda: answers(f"{self.upstream_url}/seen"), "the stand-in answers")
        until(lambda: answers(f"{self._metrics_url}/readyz"), "the gateway is ready")

    def seen(self) -> dict[str, Any]:
        """What the stand-in has seen since this was last asked."""
        found: dict[str, Any] = httpx.get(f"{self.upstream_url}/seen", trust_env=False).json()
        return found

    def go(self) -> None:
        httpx.post(f"{self.upstream_url}/go", trust_env=False)

    def metrics(self) -> Numbers:
        return scraped(f"{self._metrics_url}/metrics")

    def logged(self, trace_id: str) -> dict[str, Any]:
        """The one log of a trace, as soon as it is stored."""

        def found() -> list[dict[str, Any]]:
            return [event for event in list(self.receiver.events.values()) if event["trace_id"] == trace_id]

        until(lambda: found(), f"the call of {trace_id} is logged")
        (event,) = found()
        return event

    def kill(self) -> None:
        self.process.kill()
        self.upstream.kill()


@contextmanager
def gateway_in(folder: Path, to: Receiver | str, **settings: str) -> Iterator[Gateway]:
    """A gateway that logs to a receiver, or to the API at an address."""
    api, receiver = (to, None) if isinstance(to, str) else (to.url, to)
    running = Gateway(folder, api, receiver, **settings)
    try:
        running.until_ready()
        yield running
    finally:
        running.kill()


@pytest.fixture(scope="session")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with receiving() as receiver, gateway_in(tmp_path_factory.mktemp("gateway"), receiver) as running:
        yield running


@pytest.fixture
def gateway(shared_gateway: Gateway) -> Gateway:
    """The one that all tests share which break nothing."""
    shared_gateway.seen()
    return shared_gateway


@pytest.fixture
def client(gateway: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, trust_env=False) as client:
        yield client
