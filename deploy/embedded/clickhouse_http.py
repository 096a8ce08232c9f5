"""Serves ClickHouse's HTTP interface over the embedded engine: `python -m deploy.embedded.clickhouse_http`.

It supports as much of it as clickhouse-connect, curl and other ClickHouse tools need, for one machine and one user.
clickhouse_app answers the requests.
"""

import argparse
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterable
from logging.config import dictConfig
from pathlib import Path

import uvicorn

from deploy.embedded.clickhouse_address import AddressFileError, keep_address, password_of
from deploy.embedded.clickhouse_app import ClickHouseHTTP
from deploy.embedded.clickhouse_engine import Engine, EngineUnavailableError
from runtime import log_setup
from runtime.http_errors import ApiError
from runtime.idle_clients import ClientTimeoutProtocol, Connections
from runtime.request_origin import host_names

_DRAIN_SECONDS = 30
_MOST_CONNECTIONS = 500
# An insert of a worker may be large, and whoever reads a large answer may be slow.
_CLIENT_WAITS_S = 300


class FrontProtocol(ClientTimeoutProtocol):
    """One connection. A GET has its statement in the target, which may be as long as with a ClickHouse server."""

    most_target_bytes = 1 << 20
    most_head_bytes = most_target_bytes + (64 << 10)

    def on_headers_complete(self) -> None:
        """Split off the query, because the URL parser takes 64 KiB at most."""
        self.url, _, query = self.url.partition(b"?")
        super().on_headers_complete()
        self.scope["query_string"] = query.partition(b"#")[0]

    def refusal(self, error: ApiError) -> tuple[str, bytes]:
        """Errors are plain text here."""
        return "text/plain; charset=UTF-8", f"{error.message}\n".encode()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise EngineUnavailableError(
            f"ClickHouse cannot listen on {host}:{port} ({error.strerror}); free that port or choose another with"
            " --port."
        ) from error
    return listener


def serve(host: str, port: int, data_dir: Path, allowed_hosts: frozenset[str]) -> None:
    """Serve until SIGTERM or SIGINT, then finish the running requests and close the engine. If a statement runs longer
    than the drain time, the process ends with 1.

    Raises EngineUnavailableError where the port or the directory is not available.
    """
    listener = _listen(host, port)
    engine = Engine(data_dir)
    address = keep_address(data_dir, host, listener.getsockname()[1])
    app = ClickHouseHTTP(engine, password_of(address), allowed_hosts)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        http=Connections(_MOST_CONNECTIONS, _CLIENT_WAITS_S, FrontProtocol).protocol,  # type: ignore[arg-type]
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
    # A warning for each request that is not HTTP would say nothing new: it was answered.
    dictConfig(log_setup.config("text", **{"uvicorn.error": logging.ERROR}))
    # For signals before uvicorn handles them, and for the signal that uvicorn raises again after its graceful stop.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit())
    try:
        host_text, port_number = listener.getsockname()[:2]
        print(
            f"ClickHouse is ready on http://{host_text}:{port_number}, data in {data_dir}", file=sys.stderr, flush=True
        )
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        _close(engine, app)


def _close(engine: Engine, app: ClickHouseHTTP) -> None:
    if not app.is_idle:
        # The engine cannot be closed while a statement runs, and its thread cannot be stopped. Stored data are safe.
        print(
            f"ClickHouse stopped on a statement that still ran after {_DRAIN_SECONDS} s.", file=sys.stderr, flush=True
        )
        os._exit(1)
    engine.close()


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.embedded.clickhouse_http", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--data-dir", type=Path, required=True)
    options = parser.parse_args(None if arguments is None else list(arguments))
    os.umask(0o077)
    try:
        allowed = frozenset((*host_names(os.environ.get("FEEDBACK_ALLOWED_HOSTS", "")), options.host))
    except ValueError as error:
        print(f"FEEDBACK_ALLOWED_HOSTS {error}.", file=sys.stderr)
        return 2
    try:
        serve(options.host, options.port, options.data_dir, allowed)
    except (EngineUnavailableError, AddressFileError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
