"""`python -m stream_workers`: run one worker in the foreground until SIGTERM."""

import sys

from runtime.garbage_collection import configure_gc
from stream_workers.batches.app import build_app
from stream_workers.batches.start import run
from stream_workers.settings import WorkerSettings


def main() -> int:
    # State holds no cycles and a poll makes hundreds of thousands of objects: looking for cycles among them after every
    # few hundred costs a tenth of all time. The agent has memory watched instead.
    configure_gc(by_count=False)
    return run("worker", WorkerSettings, build_app)


if __name__ == "__main__":
    sys.exit(main())
