"""`feedback gateway`: passes calls on to a model's provider and logs them."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any

from runtime.program import run_program

_ABOUT = (
    "Passes HTTP calls on to an upstream, streams included, and logs each as a request at the API of FEEDBACK_URL, with"
    " the key of FEEDBACK_API_KEY. Point a client at it by its base URL alone."
)


def add_to(commands: Any, port: Callable[[str], int]) -> None:
    """Register the command with the subparsers of `feedback`."""
    parser = commands.add_parser("gateway", help="pass calls on to a provider and log them", description=_ABOUT)
    parser.add_argument(
        "--upstream", metavar="URL", help="where calls go, as in https://api.openai.com; else FEEDBACK_GATEWAY_UPSTREAM"
    )
    parser.add_argument("--port", type=port, help="port to listen on; else FEEDBACK_GATEWAY_PORT, else 8789")
    parser.set_defaults(run=_run, is_program=True)


def _run(given: argparse.Namespace) -> int:
    for name, value in (("FEEDBACK_GATEWAY_UPSTREAM", given.upstream), ("FEEDBACK_GATEWAY_PORT", given.port)):
        if value is not None:
            os.environ[name] = str(value)
    sys.argv[1:] = []
    return run_program("gateway")
