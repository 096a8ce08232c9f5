"""`python -m stream_workers`: run one worker in the foreground until SIGTERM."""

import gc
import sys

from stream_workers.app import build_app
from stream_workers.settings import WorkerSettings
from stream_workers.start import run


def main() -> int:
    # A poll makes hundreds of thousands of objects and hardly a cycle: the default thresholds cost half the time.
    gc.set_threshold(100_000, 50, 1000)
    return run("worker", WorkerSettings, build_app)


if __name__ == "__main__":
    sys.exit(main())
