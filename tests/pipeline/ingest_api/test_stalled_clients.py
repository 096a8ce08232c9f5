"""Clients that stall, trickle or stop reading: they are let go in time, and nobody else waits for them."""

import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.pipeline.engines import until
from tests.pipeline.ingest_api.edge_fixtures import Broker, Edge

ONE = {"trace_id": "t", "value": 1}
TIMEOUT_S = 2.0
LET_GO_S = TIMEOUT_S + 2  # the edge looks once a second
MOST = 40
HEAD = b"POST /v1/feedback HTTP/1.1\r\nhost: localhost\r\n"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    folder: Path = tmp_path_factory.mktemp("stalled")
    broker = Broker(folder)
    edge = Edge(
        folder,
        broker.bootstrap,
        FEEDBACK_RECEIVE_TIMEOUT_S=str(TIMEOUT_S),
        FEEDBACK_MAX_CONNECTIONS=str(MOST),
    )
    edge.until_ready()
    yield edge
    edge.kill()
    broker.kill()


def connected(edge: Edge, sent: bytes = b"") -> socket.socket:
    call = socket.create_connection(("127.0.0.1", edge.port), timeout=10)
    call.sendall(sent)
    return call


def all_of(call: socket.socket) -> bytes:
    """What comes until the edge closes."""
    answer = b""
    while part := call.recv(100_000):
        answer += part
    return answer


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", b""),
        (b"\r\n\r\n", b"408"),
        (b"POST /v1/fe", b"408"),
        (HEAD + b"content-le", b"408"),
        (HEAD + b"content-length: 100\r\n\r\n{", b"408"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\n{}   \r\n", b"408"),
        (b"GET /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n1", b"200"),
        (b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\nGET /heal", b"200"),
    ],
)
def test_a_request_that_does_not_arrive_whole_is_let_go_in_time(guarded: Edge, sent: bytes, status: bytes) -> None:
    began = time.monotonic()
    with connected(guarded, sent) as call:
        answer = all_of(call)
    assert TIMEOUT_S - 0.1 <= time.monotonic() - began < LET_GO_S
    assert answer[9:12] == status
    assert answer.count(b"HTTP/1.1 408 ") == (1 if b"\r\n\r\nGET /heal" in sent or status == b"408" else 0)
    if status == b"408":
        assert b"connection: close" in answer
        assert b'"code":"AB01"' in answer


def test_a_body_that_trickles_is_let_go_as_well(guarded: Edge) -> None:
    began = time.monotonic()
    with connected(guarded, HEAD + b"content-length: 1000\r\n\r\n") as call:
        while not select.select([call], [], [], 0.1)[0]:
            call.sendall(b" ")
            assert time.monotonic() - began < LET_GO_S
        assert call.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_a_head_without_end_is_refused(guarded: Edge) -> None:
    with connected(guarded, HEAD) as call:
        try:
            for _ in range(300):
                call.sendall(b"x-more: " + b"x" * 1000 + b"\r\n")
            assert b"431" in all_of(call)
        except OSError:
            return  # it was closed with something of ours unread


def test_an_answer_that_is_not_read_is_given_up(guarded: Edge) -> None:
    request = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with socket.socket() as call:
        call.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        call.connect(("127.0.0.1", guarded.port))
        call.setblocking(False)
        unread = select.poll()
        unread.register(call, select.POLLHUP | select.POLLERR)
        asked = time.monotonic()
        while not unread.poll(100):
            try:
                call.send(request * 20)
            except BlockingIOError:
                pass
            except OSError:
                break
            assert time.monotonic() - asked < 4 * LET_GO_S, "the edge waits for ever"


def test_a_connection_may_be_idle_between_requests_and_not_within_one(guarded: Edge) -> None:
    with connected(guarded) as call:
        for idle_s in (LET_GO_S, 0):
            call.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert call.recv(1000).startswith(b"HTTP/1.1 200 ")
            assert not select.select([call], [], [], idle_s)[0]
        call.sendall(b"\r\n")  # nothing that a request could begin with
        assert select.select([call], [], [], LET_GO_S)[0]


def test_stalled_sockets_keep_no_client_from_being_served(guarded: Edge) -> None:
    with ExitStack() as stack:
        stalled = [stack.enter_context(connected(guarded, HEAD if n % 2 else b"")) for n in range(4 * MOST)]
        began = time.monotonic()
        for _ in range(20):
            asked = time.monotonic()
            guarded.saved(ONE)
            assert time.monotonic() - asked < 1
        assert time.monotonic() - began < TIMEOUT_S, "they still stall"
        # Those beyond the bound have been let go already, the first first.
        pushed_out, kept = stalled[: 3 * MOST], stalled[3 * MOST + 25 :]
        assert len(select.select(pushed_out, [], [], 0)[0]) == len(pushed_out)
        assert select.select(kept, [], [], 0)[0] == []
        until(lambda: len(select.select(stalled, [], [], 0)[0]) == len(stalled), "all are let go", seconds=LET_GO_S)
        guarded.saved(ONE)


def test_clients_that_are_being_served_are_never_pushed_out(guarded: Edge) -> None:
    body = b'{"trace_id": "t", "value": 1}'
    with ExitStack() as stack:
        mine = stack.enter_context(connected(guarded))
        for _ in range(3 * MOST):
            stack.enter_context(connected(guarded))
            if _ % 10 == 0:
                mine.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
                assert mine.recv(1000).startswith(b"HTTP/1.1 200 ")
