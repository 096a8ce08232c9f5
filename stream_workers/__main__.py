"""`python -m stream_workers`: run one worker in the foreground until SIGTERM."""

import sys

from schemas.garbage import configure_gc
from stream_workers.app import build_app
from stream_workers.settings import WorkerSettings
from stream_workers.start import run


def main() -> int:
    # State holds no cycles and a poll makes hundreds of thousands of objects: looking for cycles among them after every
    # few hundred costs a tenth of all time. The agent has memory watched instead.
    configure_gc(by_count=False)
    return run("worker", WorkerSettings, build_app)


if __name__ == "__main__":
    sys.exit(main())
