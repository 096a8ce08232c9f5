"""`python -m stream_workers`: run one worker in the foreground until SIGTERM."""

import sys

from runtime.garbage_collection import configure_gc
from stream_workers.batches.app import build_app
from stream_workers.batches.start import run
from stream_workers.settings import WorkerSettings


def main() -> int:
    # States hold no reference cycles, and a consumer batch makes hundreds of thousands of objects. Looking for cycles
    # after every few hundred of them costs a tenth of all time. The agent watches the memory instead.
    configure_gc(by_count=False)
    return run("worker", WorkerSettings, build_app)


if __name__ == "__main__":
    sys.exit(main())
