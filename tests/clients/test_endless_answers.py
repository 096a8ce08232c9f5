"""What a server answers costs the app neither memory nor time nor its log; anything may listen there."""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from feedback_client import Client, Counts
from feedback_client.http_post import MOST_ANSWER_BYTES
from tests.clients.receiver import NoTime

ENDLESS = 64 * MOST_ANSWER_BYTES
IN_SOCKETS = 16 * MOST_ANSWER_BYTES
"""More than the sockets of both ends hold."""


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[tuple[Client, list[bytes]]]:
    """A client of a server that answers each connection's first call, and the heads of these calls."""
    heads: list[bytes] = []

    def serve() -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                connection, _ = listener.accept()
                with closing(connection), suppress(OSError):  # the client has left
                    heads.append(connection.recv(65_536))
                    answer(connection)

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        client = Client(f"http://127.0.0.1:{listener.getsockname()[1]}", linger_s=0.0, timeout_s=0.3, clock=NoTime())
        try:
            yield client, heads
        finally:
            client.close(0)
            listener.shutdown(socket.SHUT_RDWR)
            serving.join()


def test_of_an_endless_answer_the_beginning_is_read_and_its_status_counts() -> None:
    sent = 0

    def endless(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while sent < ENDLESS:
            sent += connection.send(bytes(65_536))

    with answering(endless) as (client, _):
        client.feedback(1, trace_id="t")
        assert client.flush(30)
        assert client.counts == Counts(queued=1, sent=1)
    assert sent < IN_SOCKETS


def test_an_answer_that_comes_byte_by_byte_holds_up_nothing() -> None:
    is_taken = threading.Event()

    def slow(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while not is_taken.wait(0.02):
            connection.sendall(b" ")

    with answering(slow) as (client, _):
        client.feedback(1, trace_id="t")
        has_sent = client.flush(10)
        is_taken.set()
        assert has_sent
        assert client.counts == Counts(queued=1, sent=1)


def test_what_a_server_says_begins_no_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def forging(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 20\r\n\r\nno\r\nERROR forged\x1b[2J")

    with answering(forging) as (client, _):
        client.feedback(1, trace_id="t")
        assert client.flush(30)
    (told,) = [each.getMessage() for each in caplog.records]
    assert "400 no  ERROR forged [2J" in told


def test_no_answer_is_decompressed() -> None:
    body = gzip.compress(bytes(ENDLESS))

    def bomb(connection: socket.socket) -> None:
        head = f"HTTP/1.1 400 Bad Request\r\ncontent-encoding: gzip\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    with answering(bomb) as (client, heads):
        client.feedback(1, trace_id="t")
        assert client.flush(30)
        assert client.counts == Counts(queued=1, refused=1)
    assert b"accept-encoding: identity\r\n" in heads[0].lower()
