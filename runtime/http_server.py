"""The HTTP server of a program: uvicorn with the settings that all of them share."""

import signal
import sys

import uvicorn

from runtime.background_tasks import exit_code
from runtime.idle_clients import Connections

# Longer than clients keep idle connections, so that it is never the server that closes one under a new request.
_KEEP_ALIVE_S = 75


def exit_on_signals() -> None:
    """Have SIGTERM and SIGINT end the program at once, until `serve_http` handles them."""
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: sys.exit(exit_code()))


def serve_http(
    app: object, host: str, port: int, connections: Connections, *, stop_within_s: int, date_header: bool = True
) -> int:
    """Serve until a signal; uvicorn raises it again after it has stopped accepting and finished what is in flight.

    Returns the exit code.
    """
    uvicorn.Server(
        uvicorn.Config(
            app,  # type: ignore[arg-type]
            host=host,
            port=port,
            loop="uvloop",
            http=connections.protocol,  # type: ignore[arg-type]
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            date_header=date_header,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=stop_within_s,
        )
    ).run()
    return exit_code()
