"""`feedback dashboard`: serves the dashboard as a separate process, for an API at another address."""

import argparse
from collections.abc import Callable
from typing import Any

from runtime.addresses import http_url

_ABOUT = (
    "Serves the pages that every API process serves as well, and calls the API at --api with the key of whoever looks."
    " It needs no engine and keeps nothing, so that as many may run as there are viewers for."
)


def add_to(commands: Any, port: Callable[[str], int]) -> None:
    """Register the command with the subparsers of `feedback`."""
    parser = commands.add_parser("dashboard", help="run the dashboard alone, over an API elsewhere", description=_ABOUT)
    parser.add_argument("--api", type=_address, default="http://127.0.0.1:8787", metavar="URL", help="(%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=port, default=8788, help="port to listen on (%(default)s)")
    parser.set_defaults(run=_run, is_program=True)


def _run(given: argparse.Namespace) -> int:
    from dashboard.standalone import serve

    return serve(given.api, given.host, given.port)


def _address(text: str) -> str:
    try:
        return http_url(text)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(f"the address of the API {fault}") from None
