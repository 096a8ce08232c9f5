"""Runs the edge: `python -m ingest_api`. SIGTERM stops accepting, finishes what is in flight, and exits 0."""

import logging
import resource
import sys
from collections.abc import Callable
from ipaddress import ip_address
from logging.config import dictConfig

from ingest_api.app import create_app
from ingest_api.http.edge_app import EdgeApp
from ingest_api.http.edge_protocol import EdgeProtocol
from ingest_api.settings import Settings
from runtime.addresses import url_host
from runtime.garbage_collection import configure_gc
from runtime.http_server import exit_on_signals, serve_http
from runtime.idle_clients import Connections
from runtime.listen_addresses import cannot_listen
from runtime.log_setup import config, log_uncaught_errors
from runtime.settings_errors import load_or_print

# Files beside client connections: connections to Kafka, logs, libraries.
_OTHER_FILES = 150

log = logging.getLogger("ingest_api")


def main(extend: Callable[[EdgeApp], None] = lambda _: None) -> int:
    """Serve until a signal. `extend` may add routes to the app before that.

    Returns the exit code: 2 if a setting is faulty or the address is taken, 1 if the edge ended by itself.
    """
    settings = load_or_print(Settings)
    if settings is None:
        return 2
    if fault := cannot_listen(settings.host, settings.port):
        print(f"FEEDBACK_PORT: {fault}: free it, or give another.", file=sys.stderr)
        return 2
    # aiokafka logs every failed attempt; the producer connection logs their outcome.
    dictConfig(config(settings.log_format, ingest_api=logging.INFO, aiokafka=logging.CRITICAL + 1))
    log_uncaught_errors()
    exit_on_signals()
    app = create_app(settings)
    _log_start(settings, app.api_keys.is_closed)
    extend(app)
    configure_gc(by_count=True)
    connections = Connections(_allowed(settings.max_connections), settings.receive_timeout_s, EdgeProtocol)
    return serve_http(app, settings.host, settings.port, connections, stop_within_s=int(settings.produce_timeout_s) + 5)


def _log_start(settings: Settings, is_closed: bool) -> None:
    address = f"http://{url_host(settings.host)}:{settings.port}"
    open_until = "every call needs an API key" if is_closed else "open until the first API key is made"
    log.info("Feedback API edge at %s, %s.", address, open_until)
    if not is_closed and not _is_loopback(settings.host):
        log.warning(
            "%s is not a loopback address, so the network can publish here while there is no key:"
            " make one (feedback keys create), or set FEEDBACK_REQUIRE_KEYS=true or FEEDBACK_HOST=127.0.0.1.",
            settings.host,
        )


def _allowed(connections: int) -> int:
    """This number of connections, or fewer if the system gives the process fewer files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    files = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    if files < wanted:
        connections = max(1, files - _OTHER_FILES)
        print(
            f"WARNING: this process may open {hard} files, so it takes {connections} connections at once:"
            " raise ulimit -n for FEEDBACK_MAX_CONNECTIONS.",
            file=sys.stderr,
            flush=True,
        )
    return connections


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    sys.exit(main())
