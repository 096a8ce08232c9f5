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


def _said_to(address: tuple[str, int], **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.get("http://{}:{}/metrics".format(*address), headers=named).status_code


def test_a_web_page_reads_nothing_on_this_machine(address: tuple[str, int]) -> None:
    assert _said_to(address, host="page.example:9464") == 403
    assert _said_to(address, origin="https://page.example") == 403
    assert _said_to(address, sec_fetch_site="cross-site") == 403
    assert _said_to(address) == _said_to(address, host="localhost:9464") == 200


def test_a_scraper_calls_by_a_name_that_is_allowed_or_from_another_machine_by_any() -> None:
    server = serve_health("0.0.0.0", 0, CollectorRegistry(), Health, Health, ("metrics.internal",))
    assert _said_to(("127.0.0.1", server.server_port), host="metrics.internal") == 200
    assert _said_to(("127.0.0.1", server.server_port), host="worker:9464") == 403
    for address in _addresses_beside_loopback():
        assert _said_to((address, server.server_port), host="worker:9464") == 200


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
@pytest.mark.parametrize("host", ["::1", "::"])
def test_an_address_of_ipv6_is_served_and_guarded_as_well(host: str) -> None:
    port = serve_health(host, 0, CollectorRegistry(), Health, Health).server_port
    for own in ("[::1]", "127.0.0.1") if host == "::" else ("[::1]",):
        assert _said_to((own, port)) == 200
        assert _said_to((own, port), host="page.example:9464") == 403


def _addresses_beside_loopback() -> list[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return []
        return [asking.getsockname()[0]]
