"""How soon a worker commits after it has been started again: `python -m benchmarks.restart`.

With millions of traces stored, beside a Faust app that must first read its tables back from their changelog.
"""

import json
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import AbstractContextManager
from statistics import median

from benchmarks import events, stored_traces
from benchmarks.cold_join import feedback
from benchmarks.commits import WORKERS, committed, until_committed
from benchmarks.engines import MEASURED_CORE, Child, Engines, engines, running, stand_aside
from benchmarks.options import keep, parser
from benchmarks.programs import SESSION
from benchmarks.report import Benchmark, Figure, Goal
from schemas import ids
from schemas.murmur2 import murmur2
from schemas.topics import FEEDBACK_EVENTS

BACKLOG = 5_000
SESSION_S = 6.5
FAUST_GROUP = "plain-faust"
CHANGELOG = "plain-faust-facts-changelog"


def seconds_to_commit(found: Engines, group: str, program: AbstractContextManager[Child]) -> float:
    """From the start of the program's process to the first commit beyond those before; then it is stopped."""
    before = committed(found, group, [FEEDBACK_EVENTS])
    started = time.perf_counter()
    with program as child:
        until_committed(found, before, "a commit", group=group, child=child)
        took = time.perf_counter() - started
        has_left = _leaves(child)
    if not has_left:
        time.sleep(SESSION_S)  # a member that was killed is given up by then
    return took


def _leaves(child: Child) -> bool:
    """Stop the program: whether it ends by itself, and so leaves its group. Plain Faust does not always."""
    try:
        child.terminate(patience=5)
    except RuntimeError:
        return False
    return True


def ours(stored: int, rounds: int) -> list[float]:
    with engines() as found:
        stored_traces.load(found, 0, stored)
        stored_traces.settle(found)
        settings = {**found.environment, **SESSION, "FEEDBACK_OFFSET_BASE": "1000000000"}
        took = []
        for n in range(rounds + 1):
            events.send(found.kafka, feedback(stored, BACKLOG, seed=n))
            program = running([sys.executable, "-m", "stream_workers"], MEASURED_CORE, settings)
            took.append(seconds_to_commit(found, WORKERS, program))
        return took[1:]  # the first start has nothing to come back to


def faust(keys: int, rounds: int) -> list[float]:
    with engines() as found, tempfile.TemporaryDirectory() as state_dir:
        settings = {**found.environment, "PEER_STATE_DIR": state_dir}
        argv = [sys.executable, "-m", "benchmarks.plain_faust", "-L", "uvloop", "worker", "--without-web", "-l", "warn"]
        took = []
        for n in range(rounds + 1):
            events.send(found.kafka, feedback(keys, BACKLOG // 10, seed=n))
            took.append(seconds_to_commit(found, FAUST_GROUP, running(argv, MEASURED_CORE, settings)))
            if n == 0:  # it has made its topics by now
                events.send(found.kafka, changelog(keys))
        return took[1:]


def changelog(keys: int) -> Iterator[events.Event]:
    """What the Faust app has written of its table when it has read one request on each of that many traces."""
    for number in range(keys):
        trace_id = stored_traces.name_of(number)
        value = {"model": f"model-{number % 5}", "provider": "openai", "user": f"u{number % 1000}"}
        trace_hash = murmur2(ids.trace_key(events.WORKSPACE, trace_id))
        yield events.Event(CHANGELOG, json.dumps(trace_id).encode(), trace_hash, json.dumps(value).encode())


def report(options: Namespace, took: list[float], peer: list[float]) -> Benchmark:
    sooner = median(peer) / median(took)
    ours_what, peer_what = f"ours, {options.stored:,} traces stored", f"plain Faust, {options.keys:,} keys in a table"
    return Benchmark(
        "restart",
        "Restart",
        "make bench-restart",
        [
            "Seconds from the start of the process to its first commit, after a clean stop, with feedback waiting;"
            " on one core,"
            " broker and ClickHouse on the other. The embedded broker lets a starting group wait up to half a"
            " session timeout,"
            " both alike.",
            "Ours has nothing to recover: what it knows of a trace is looked up when the trace's next event comes."
            " The Faust app"
            " keeps its tables in memory, as its default is, and reads them back from their changelog before it goes"
            " on.",
        ],
        [
            Figure(ours_what, "s", took, of_peer={"sooner": sooner}, goals=[Goal("× sooner", sooner, 10)]),
            Figure(peer_what, "s", peer),
        ],
    )


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--stored", type=int, default=5_000_000, help="traces stored before ours starts")
    options.add_argument("--keys", type=int, default=1_000_000, help="keys in the peer's table")
    options.add_argument("--peer-rounds", type=int, help="rounds of the peer (default: as many)")
    given = options.parse_args()
    stand_aside()
    took = ours(given.stored, given.rounds)
    print("ours", took, flush=True)
    keep(given, report(given, took, faust(given.keys, given.peer_rounds or given.rounds)))


if __name__ == "__main__":
    main()
