"""Starting a Faust program in the foreground, or saying which setting keeps it from it."""

import logging
import sys
from collections.abc import Callable
from typing import TypeVar

import faust
from pydantic import ValidationError

from stream_workers.settings import ProgramSettings

Settings = TypeVar("Settings", bound=ProgramSettings)


def run(name: str, settings: type[Settings], build: Callable[[Settings], faust.App]) -> int:
    """Run the app until SIGTERM; the exit code, 2 where a setting is faulty."""
    try:
        read = settings()
    except ValidationError as error:
        for fault in error.errors():
            variable = "FEEDBACK_" + "_".join(str(part) for part in fault["loc"]).upper()
            print(f"feedback {name}: {variable}: {fault['msg']}", file=sys.stderr)
        return 2
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    worker = faust.Worker(build(read), loglevel="WARNING", redirect_stdouts=False, quiet=True)
    worker.spinner = None  # its cursor codes do not belong into a log
    worker.execute_from_commandline()
    return 0
