"""What breaks reaches the caller as it is and is logged as what it was; a feed that is down reaches nobody."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.clients.receiver import receiving
from tests.pipeline.engines import until
from tests.pipeline.gateway.conftest import Gateway, gateway_in
from tests.pipeline.gateway.stand_in import PLAIN

CHAT = "/v1/chat/completions"
ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
WAITING = {**ASKED, "stream": True, "user": "wait"}


def traced(trace_id: str) -> dict[str, str]:
    return {"x-portkey-trace-id": trace_id}


def read(answer: httpx.Response, into: bytearray) -> None:
    for piece in answer.iter_raw():
        into.extend(piece)


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that does not wait for long."""
    folder = tmp_path_factory.mktemp("hasty")
    settings = {"FEEDBACK_GATEWAY_TIMEOUT_S": "0.5", "FEEDBACK_MAX_CONNECTIONS": "10"}
    with receiving() as receiver, gateway_in(folder, receiver, **settings) as running:
        yield running


@pytest.fixture
def own_gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway that a test may break."""
    with receiving() as receiver, gateway_in(tmp_path, receiver) as running:
        yield running


def test_events_pass_as_they_come(gateway: Gateway, client: httpx.Client) -> None:
    with client.stream("POST", CHAT, json=WAITING, headers=traced("events")) as answer:
        lines = answer.iter_lines()
        told = [next(lines), next(lines), next(lines)]
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert json.loads(told[2][6:])["choices"][0]["delta"] == {"content": "Hello"}
        gateway.go()  # only now does the provider go on
        assert list(lines)[-2] == "data: [DONE]"
    log = gateway.logged("events")
    assert log["response_body"]["choices"][0]["message"]["content"] == "Hello there"
    assert (log["total_tokens"], log["status"], log["model"]) == (7, 200, "gpt-4o")
    assert "gateway_outcome" not in log["metadata"]


@pytest.mark.parametrize(
    ("path", "error"), [("/half", "incomplete chunked read"), ("/short", "without sending complete")]
)
def test_a_half_answer_is_a_half_one_for_the_caller_too(
    gateway: Gateway, client: httpx.Client, path: str, error: str
) -> None:
    received = bytearray()
    with client.stream("POST", path, json=ASKED, headers=traced(path)) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError, match=error):
            read(answer, received)
    assert received
    log = gateway.logged(path)
    assert (log["status"], log["metadata"]) == (200, {"gateway_outcome": "upstream_broke_off"})
    expected = '{"model"' if path == "/short" else "Hello"
    assert expected in str(log["response_body"])


def test_an_upstream_that_is_killed_in_a_stream_breaks_it_off_and_is_then_unreachable(own_gateway: Gateway) -> None:
    with (
        httpx.Client(base_url=own_gateway.url, trust_env=False) as client,
        client.stream("POST", CHAT, json=WAITING, headers=traced("killed")) as answer,
    ):
        lines = answer.iter_lines()
        while "Hello" not in next(lines):
            pass
        own_gateway.upstream.kill()
        with pytest.raises(httpx.RemoteProtocolError):
            list(lines)
    assert own_gateway.logged("killed")["metadata"] == {"gateway_outcome": "upstream_broke_off"}
    answer = httpx.post(f"{own_gateway.url}{CHAT}", json=ASKED, headers=traced("away"), trust_env=False)
    assert (answer.status_code, answer.headers["x-portkey-trace-id"]) == (502, "away")
    assert own_gateway.upstream_url in answer.json()["error"]["message"]
    log = own_gateway.logged("away")
    assert (log["status"], log["metadata"]) == (502, {"gateway_outcome": "upstream_unreachable"})
    assert (log["model"], log.get("response_body")) == ("gpt-4o", None)
    assert own_gateway.process.running


def test_an_upstream_that_closes_without_an_answer_is_told_as_such(gateway: Gateway, client: httpx.Client) -> None:
    assert client.post("/reset", json=ASKED, headers=traced("reset")).status_code == 502
    assert gateway.logged("reset")["metadata"] == {"gateway_outcome": "upstream_unreachable"}


@pytest.mark.parametrize("status", [101, 600, 999])
def test_an_answer_with_no_status_of_http_is_none(gateway: Gateway, client: httpx.Client, status: int) -> None:
    answer = client.post("/odd", content=str(status), headers=traced(f"odd {status}"))
    assert (answer.status_code, "from 200 to 599" in answer.text) == (502, True)
    assert gateway.logged(f"odd {status}")["metadata"] == {"gateway_outcome": "upstream_unreachable"}


def test_a_header_that_no_answer_may_have_does_not_pass_and_all_else_does(
    gateway: Gateway, client: httpx.Client
) -> None:
    answer = client.post("/odd", content="599", headers=traced("odd header"))
    assert (answer.status_code, answer.content, answer.headers.get("x-odd")) == (599, b"{}", None)
    assert answer.headers["x-even"] == "a\tb"
    assert gateway.logged("odd header")["status"] == 599


def test_an_answer_that_does_not_come_in_time_is_a_504(hasty: Gateway) -> None:
    answer = httpx.post(f"{hasty.url}/slow", json=ASKED, headers=traced("slow"), trust_env=False, timeout=60)
    assert answer.status_code == 504
    assert "FEEDBACK_GATEWAY_TIMEOUT_S" in answer.json()["message"]
    log = hasty.logged("slow")
    assert (log["status"], log["metadata"]) == (504, {"gateway_outcome": "upstream_timed_out"})
    until(lambda: hasty.seen()["left"], "the upstream is let go of")


def test_a_stream_that_stops_is_broken_off_when_its_time_is_over(hasty: Gateway) -> None:
    with (
        httpx.Client(base_url=hasty.url, trust_env=False, timeout=60) as client,
        client.stream("POST", CHAT, json=WAITING, headers=traced("stopped")) as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        list(answer.iter_lines())
    log = hasty.logged("stopped")
    assert (log["status"], log["metadata"]) == (200, {"gateway_outcome": "upstream_timed_out"})


@pytest.mark.parametrize("path", ["/slow", CHAT])
def test_a_caller_who_leaves_ends_the_call_at_the_upstream(gateway: Gateway, path: str) -> None:
    trace_id = f"left {path}"
    with httpx.Client(base_url=gateway.url, trust_env=False) as client:
        request = client.build_request("POST", path, json=WAITING, headers=traced(trace_id))
        if path == CHAT:
            answer = client.send(request, stream=True)
            lines = answer.iter_lines()
            while "Hello" not in next(lines):
                pass
            answer.close()
        else:
            with pytest.raises(httpx.ReadTimeout):
                client.post(path, json=WAITING, headers=traced(trace_id), timeout=0.5)
    until(lambda: gateway.seen()["left"], "the upstream is let go of", seconds=30)
    log = gateway.logged(trace_id)
    assert (log["status"], log["metadata"]) == (200 if path == CHAT else 499, {"gateway_outcome": "caller_left"})
    if path == CHAT:
        assert log["response_body"]["choices"][0]["message"]["content"] == "Hello"


def test_a_feed_that_is_down_costs_the_caller_nothing_and_no_log(own_gateway: Gateway) -> None:
    with httpx.Client(base_url=own_gateway.url, trust_env=False) as client:
        own_gateway.receiver.stop()
        began = time.perf_counter()
        for number in range(100):
            assert client.post(CHAT, json=ASKED, headers=traced(f"down-{number}")).json() == PLAIN
        assert time.perf_counter() - began < 60  # the client's own wait for a server is longer
        until(lambda: "trying again" in own_gateway.process.log.read_text(), "the log says that the API is away")
        own_gateway.receiver.start()
    until(lambda: len(own_gateway.receiver.events) == 100, "all are logged when the API is back")
    assert sorted(own_gateway.receiver.trace_ids) == sorted(f"down-{number}" for number in range(100))
    until(lambda: own_gateway.metrics()["feedback_gateway_logs_total", "sent"] == 100, "it knows that they arrived")
    assert own_gateway.metrics()["feedback_gateway_held_bytes",] == 0


def test_a_log_that_the_api_refuses_is_counted_and_said(own_gateway: Gateway) -> None:
    refused = {**ASKED, "user": "u" * 600}
    assert httpx.post(f"{own_gateway.url}{CHAT}", json=refused, trust_env=False).json() == PLAIN
    until(lambda: own_gateway.metrics()["feedback_gateway_logs_total", "refused"] == 1, "the refusal is counted")
    assert "request['body']['user']" in own_gateway.process.log.read_text()


def test_a_gateway_that_is_stopped_ends_what_passes_and_sends_its_logs(own_gateway: Gateway) -> None:
    with (
        httpx.Client(base_url=own_gateway.url, trust_env=False) as client,
        client.stream("POST", CHAT, json=WAITING, headers=traced("last")) as answer,
    ):
        lines = answer.iter_lines()
        while "Hello" not in next(lines):
            pass
        own_gateway.process.terminate()
        own_gateway.go()
        assert "data: [DONE]" in list(lines)
    assert own_gateway.process.wait() == 0
    assert own_gateway.receiver.trace_ids == ["last"]


def test_callers_who_send_nothing_keep_nobody_out(hasty: Gateway) -> None:
    with ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(socket.create_connection(("127.0.0.1", hasty.port)))
        assert httpx.post(f"{hasty.url}{CHAT}", json=ASKED, trust_env=False).json() == PLAIN


def test_a_request_that_does_not_arrive_whole_ends_and_reaches_the_upstream_as_a_half_one(hasty: Gateway) -> None:
    hasty.seen()
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=60) as connection:
        connection.sendall(b"POST /v1/chat HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{")
        assert connection.recv(1000).startswith((b"HTTP/1.1 408", b"HTTP/1.1 504"))
    assert hasty.seen()["requests"] == []
