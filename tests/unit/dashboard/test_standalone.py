"""A dashboard by itself keeps away what the API keeps away: pages of other sites, while no key is asked for."""

import re
import socket
import sys
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse

from dashboard import standalone as program
from dashboard.api_client import ApiClient
from deploy import cli
from deploy.kafka.broker import free_ports
from runtime.request_headers import SESSION_COOKIE
from tests.pipeline.engines import Process, answers, until

OWN = frozenset({"feedback.example.com"})


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> httpx.AsyncClient:
    """Over an API that asks for no key, and takes one."""

    async def api(scope, receive, send):  # type: ignore[no-untyped-def]
        key = Request(scope).headers.get("x-portkey-api-key")
        answer = {"workspace": "default", "scopes": ["admin"], "key_id": key and "abc", "data": [], "next_cursor": None}
        await JSONResponse(answer)(scope, receive, send)

    monkeypatch.setattr(program, "ApiClient", lambda address: ApiClient(address, api))
    app = program.standalone("http://api.example:8787", OWN)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8788")


@pytest.mark.parametrize("host", ["localhost:8788", "127.0.0.1:8788", "[::1]:8788", "feedback.example.com"])
async def test_it_answers_by_its_own_names(site: httpx.AsyncClient, host: str) -> None:
    reply = await site.get("/logs", headers={"host": host})
    assert reply.status_code == 200
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert "http://api.example:8787/v1/logs" in reply.text


@pytest.mark.parametrize(("size", "status"), [(60_000, 401), (60_001, 400)])
async def test_a_form_that_anybody_may_send_is_small(site: httpx.AsyncClient, size: int, status: int) -> None:
    form = b"key=" + b"a" * (size - 4)
    reply = await site.post("/sign-in", content=form, headers={"sec-fetch-site": "same-origin"})
    assert (reply.status_code, "more than 60,000 bytes" in reply.text) == (status, status == 400)


async def test_an_address_that_is_no_api_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    async def other(scope, receive, send):  # type: ignore[no-untyped-def]
        await PlainTextResponse("<html>")(scope, receive, send)

    monkeypatch.setattr(program, "ApiClient", lambda address: ApiClient(address, other))
    transport = httpx.ASGITransport(program.standalone("http://other.example", OWN))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8788") as client:
        page, ready = await client.get("/logs"), await client.get("/readyz")
    assert (page.status_code, "no Feedback API" in page.text) == (502, True)
    assert (ready.status_code, ready.json()["waits_for"]) == (503, "api")


async def test_no_path_leads_to_another_server(site: httpx.AsyncClient) -> None:
    reply = await site.get("/logs/", headers={"host": "evil.example"})
    assert (reply.status_code, reply.headers.get("location")) == (404, None)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"origin": "http://evil.example"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"},
    ],
)
async def test_a_page_of_another_site_gets_nothing_while_no_key_is_asked_for(
    site: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    reply = await site.get("/logs", headers=headers)
    assert reply.status_code == 403
    assert ("/v1/logs" in reply.text, "Table of requests" in reply.text) == (False, False)


async def test_with_a_key_any_name_leads_here_and_no_other_page_can_send_a_form(site: httpx.AsyncClient) -> None:
    headers = {"host": "behind-a-proxy.example", "cookie": f"{SESSION_COOKIE}=fbk_abc"}
    assert (await site.get("/logs", headers=headers)).status_code == 200
    form = {"trace_id": "a", "value": "1"}
    reply = await site.post("/feedback/add", data=form, headers=headers | {"sec-fetch-site": "cross-site"})
    assert reply.status_code == 403


async def test_a_probe_is_answered_by_any_name(site: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/readyz"):
        reply = await site.get(path, headers={"host": "10-0-0-7.pod"})
        assert (reply.status_code, reply.json()) == (200, {"status": "ok"})


async def test_its_metrics_count_pages_by_their_routes_and_name_nothing_else(site: httpx.AsyncClient) -> None:
    for path in ("/logs", "/traces/my-secret-trace", "/nowhere/my-secret"):
        await site.get(path)
    reply = await site.get("/metrics", headers={"host": "10-0-0-7.pod"})
    assert reply.status_code == 200
    counted = set(re.findall(r'_count\{method="(\w+)",route="([^"]+)",status="(\d+)"\}', reply.text))
    assert counted >= {("GET", "/logs", "200"), ("GET", "other", "404")}
    assert "my-secret" not in reply.text


def test_a_client_that_stalls_is_ended_after_the_setting_and_others_are_answered(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    argv = [sys.executable, "-m", "deploy.cli", "dashboard", "--api", "http://127.0.0.1:1", "--port", str(port)]
    process = Process(argv, tmp_path / "log", {"FEEDBACK_RECEIVE_TIMEOUT_S": "0.5"})
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/healthz"), "the dashboard answers")
        with socket.create_connection(("127.0.0.1", port), timeout=30) as stalled:
            stalled.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n")
            assert answers(f"http://127.0.0.1:{port}/healthz")
            assert stalled.recv(100).startswith(b"HTTP/1.1 408 ")
    finally:
        process.stop()


async def test_an_address_with_very_many_parameters_is_refused_in_words(site: httpx.AsyncClient) -> None:
    reply = await site.get("/logs", params=[("user", str(each)) for each in range(101)])
    assert (reply.status_code, "the address has more than 100 parameters" in reply.text) == (400, True)
    assert (await site.get("/logs", params=[("user", str(each)) for each in range(100)])).status_code == 200


@pytest.mark.parametrize("weight", ["1e999", "nan", "-inf"])
async def test_a_weight_that_is_no_number_is_refused_in_words(site: httpx.AsyncClient, weight: str) -> None:
    form = {"trace_id": "a", "value": "1", "weight": weight}
    reply = await site.post("/feedback/add", data=form, headers={"sec-fetch-site": "same-origin"})
    assert (reply.status_code, "a number from 0 to 1" in reply.text) == (400, True)


async def test_what_no_address_can_hold_is_refused_in_words(site: httpx.AsyncClient) -> None:
    reply = await site.get("/logs", params={"meta.a": '"' * 15_000})
    assert (reply.status_code, "ask for less at a time" in reply.text) == (400, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--api", "api:8787"], "must start with http:// or https://"),
        (["--port", "0"], "'0' is not a port"),
    ],
)
def test_a_wrong_option_is_told(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["dashboard", *arguments]) == 2
    assert told in capsys.readouterr().err


async def test_a_person_at_a_wrong_address_gets_a_page_and_a_program_a_plain_refusal(site: httpx.AsyncClient) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    for address in ("/traces/a", "/logs/", "/%3Cscript%3E"):
        page = await site.get(address, headers=browser)
        assert (page.status_code, 'href="/logs"' in page.text, "<script>" in page.text) == (404, True, False), address
        plain = await site.get(address)
        assert (plain.status_code, "<" in plain.text) == (404, False), address
    for address in ("/v1/nothing", "/static/nothing"):
        assert "<" not in (await site.get(address, headers=browser)).text, address
    assert (await site.post("/traces/a", headers=browser)).status_code == 404


async def test_a_page_that_fails_is_logged_without_the_address_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(*_: object) -> None:
        raise ArithmeticError

    monkeypatch.setattr(program, "ApiClient", lambda address: ApiClient(address, failing))
    transport = httpx.ASGITransport(program.standalone("http://api.example:8787", OWN))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8788") as client:
        page = await client.get("/traces/my-secret-trace", headers={"accept": "text/html"})
    assert page.status_code == 500
    assert ("failed" in caplog.text, "my-secret" in caplog.text) == (True, False)
