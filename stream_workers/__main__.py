"""`python -m stream_workers`: run one worker in the foreground until SIGTERM."""

import gc
import logging
import sys

import faust
from pydantic import ValidationError

from stream_workers.app import build_app
from stream_workers.settings import WorkerSettings


def main() -> int:
    try:
        settings = WorkerSettings()
    except ValidationError as error:
        for fault in error.errors():
            name = "FEEDBACK_" + "_".join(str(part) for part in fault["loc"]).upper()
            print(f"feedback worker: {name}: {fault['msg']}", file=sys.stderr)
        return 2
    # A poll makes hundreds of thousands of objects and hardly a cycle: the default thresholds cost half the time.
    gc.set_threshold(100_000, 50, 1000)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    worker = faust.Worker(build_app(settings), loglevel="WARNING", redirect_stdouts=False, quiet=True)
    worker.spinner = None  # its cursor codes do not belong into a log
    worker.execute_from_commandline()
    return 0


if __name__ == "__main__":
    sys.exit(main())
