"""The HTTP server of a program that has no other: /metrics, /healthz and /readyz, answered by a separate thread.

So it still answers when the event loop of the program is blocked, and reports that. It stops answering only when the
process is halted or gone. While it listens on this machine alone, it refuses what a web page may have sent: a browser
brings any page's requests here. Beyond this machine, whoever scrapes it calls it by whatever name it has there.
"""

import socket
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv6Address, ip_address
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from runtime.background_tasks import end_program
from runtime.http_errors import ApiError, error_body
from runtime.request_origin import refusal

MOST_CONNECTIONS = 32
_CLIENT_WAITS_S = 10.0


@dataclass(frozen=True)
class Health:
    """How a program is. `fault`: what is wrong, in a sentence, or empty. `waits_for`: the engine at fault, or empty."""

    fault: str = ""
    waits_for: str = ""


class _Server(ThreadingHTTPServer):
    """Each connection has a thread. One too many takes the place of the oldest, so no client keeps the others out."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread of its own."""
        with self._lock:
            self._open.append(request)
            if len(self._open) > MOST_CONNECTIONS:
                with suppress(OSError):  # its client is gone
                    self._open.pop(0).shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        with self._lock, suppress(ValueError):  # it made room
            self._open.remove(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do not log clients that close before they have their answer."""


def serve_health(
    host: str,
    port: int,
    registry: CollectorRegistry,
    alive: Callable[[], Health],
    ready: Callable[[], Health],
    allowed_hosts: Collection[str] = (),
) -> ThreadingHTTPServer:
    """Start the server; OSError where the address is taken. `alive` and `ready` are called from its threads.

    `allowed_hosts` are names of this machine beside localhost, in lower case.
    """

    allowed = frozenset(allowed_hosts)

    class Handler(BaseHTTPRequestHandler):
        timeout = _CLIENT_WAITS_S

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if refused := _refusal(self, allowed):
                self._answer(refused.status, "application/json", error_body(refused))
            elif path == "/metrics":
                self._answer(200, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(registry))
            elif path in ("/healthz", "/readyz"):
                health = (alive if path == "/healthz" else ready)()
                detail = {"message": health.fault, "waits_for": health.waits_for} if health.fault else {}
                body = {"status": "failure" if health.fault else "ok", **detail}
                self._answer(503 if health.fault else 200, "application/json", msgspec.json.encode(body))
            else:
                self._answer(404, "text/plain", b"There are /metrics, /healthz and /readyz.\n")

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Log no requests: a probe every few seconds would fill the log."""

    server = _Server((host, port), Handler)

    def serve() -> None:
        try:
            server.serve_forever()
        finally:
            end_program("the server of /metrics and /healthz ended")

    threading.Thread(target=serve, name="health", daemon=True).start()
    return server


def _refusal(call: BaseHTTPRequestHandler, allowed: frozenset[str]) -> ApiError | None:
    if not _is_of_this_machine(call.connection.getsockname()[0]):
        return None
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in call.headers.items()]
    version = call.request_version.removeprefix("HTTP/")
    return refusal(headers, scheme="http", http_version=version, allowed=allowed)


def _is_of_this_machine(address: str) -> bool:
    own = ip_address(address)
    # So a socket of IPv6 shows a client of IPv4.
    return ((isinstance(own, IPv6Address) and own.ipv4_mapped) or own).is_loopback
