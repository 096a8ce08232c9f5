"""The server of metrics and health: it answers a probe, whatever other clients do."""

import socket

import httpx
import pytest
from prometheus_client import CollectorRegistry

from runtime.health_server import MOST_CONNECTIONS, Health, serve_health


@pytest.fixture
def address() -> tuple[str, int]:
    server = serve_health("127.0.0.1", 0, CollectorRegistry(), Health, Health)
    return "127.0.0.1", server.server_port


def test_clients_that_send_nothing_hold_no_more_than_so_many_threads(address: tuple[str, int]) -> None:
    stalling = [socket.create_connection(address, timeout=10) for _ in range(MOST_CONNECTIONS + 5)]
    try:
        assert [each.recv(1) for each in stalling[:5]] == [b""] * 5
        assert httpx.get("http://{}:{}/healthz".format(*address)).json() == {"status": "ok"}
    finally:
        for each in stalling:
            each.close()


def test_a_probe_may_ask_for_the_head_alone(address: tuple[str, int]) -> None:
    asked, head = (httpx.request(each, "http://{}:{}/readyz".format(*address)) for each in ("GET", "HEAD"))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == asked.headers["content-length"]
