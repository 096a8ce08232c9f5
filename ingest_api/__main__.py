"""Runs the edge: `python -m ingest_api`. SIGTERM stops accepting, finishes what is in flight, and exits 0."""

import gc
import logging
import signal
import sys
from collections.abc import Callable
from ipaddress import ip_address
from logging.config import dictConfig

import uvicorn

from ingest_api.app import EdgeApp, create_app
from ingest_api.one_write import OneWriteProtocol
from ingest_api.settings import Settings, SettingsError, load_settings
from schemas.logs import config, log_what_nobody_catches

# Longer than clients keep idle connections, so that it is never the edge that closes one under a new request.
_KEEP_ALIVE_S = 75

log = logging.getLogger("ingest_api")


def main(extend: Callable[[EdgeApp], None] = lambda _: None) -> int:
    """Serve until a signal; the exit code, 2 where a setting is faulty. uvicorn exits if the address is taken.

    `extend` may add routes to the app before it serves.
    """
    try:
        settings = load_settings()
    except SettingsError as faults:
        print(faults, file=sys.stderr)
        return 2
    # aiokafka logs every failed attempt; the Kafka link tells what they come to.
    dictConfig(config(settings.log_format, ingest_api=logging.INFO, aiokafka=logging.CRITICAL + 1))
    log_what_nobody_catches()
    _tell(settings)
    # uvicorn raises a signal again after its graceful stop; without a handler that would end in -15 and not 0.
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: None)
    app = create_app(settings)
    extend(app)
    # What is there now stays for ever: the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    # Events in flight are no garbage, and are too many to be looked through after every 700 objects.
    gc.set_threshold(100_000, 50, 1000)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http=OneWriteProtocol,
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=int(settings.produce_timeout_s) + 5,
        )
    )
    server.run()
    return 0


def _tell(settings: Settings) -> None:
    address = f"http://{f'[{settings.host}]' if ':' in settings.host else settings.host}:{settings.port}"
    log.info("Feedback API edge at %s, open to whoever reaches it: no key file is configured.", address)
    if not _is_loopback(settings.host):
        log.warning(
            "%s is not a loopback address, so the network can publish here without a key;"
            " put a proxy that authenticates before it, or set FEEDBACK_HOST=127.0.0.1.",
            settings.host,
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    sys.exit(main())
