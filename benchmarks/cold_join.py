"""How a worker with an empty cache joins feedback on traces stored long ago: `python -m benchmarks.cold_join`.

Millions of traces are stored; feedback comes on random ones, so that nearly every trace must be looked up. Measured
with a fifth of the traces stored and with all: the rate, the worker's memory, and the cost of ten times the events.
"""

import random
import time
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import clickhouse_connect

from benchmarks import events, stored_traces
from benchmarks.commits import WORKERS, committed, until_committed
from benchmarks.engines import Engines, engines, stand_aside, until
from benchmarks.options import keep, parser
from benchmarks.programs import counter, steady_rate, worker
from benchmarks.report import Benchmark, Figure, Goal
from schemas.topics import FEEDBACK_EVENTS


@dataclass(frozen=True)
class Run:
    """One worker's life: feedback per second once it runs evenly, and the most memory it held in MB.

    `whole_us` and `cpu_us` are microseconds a feedback, by the clock and of CPU, from readiness until all is stored.
    """

    per_second: float
    whole_us: float
    cpu_us: float
    peak_mb: float


@dataclass
class Found:
    """Runs by what was varied."""

    few_stored: list[Run]
    all_stored: list[Run]
    tenfold: list[Run]


def feedback(stored: int, count: int, seed: int) -> list[events.Event]:
    """Feedback on `count` different ones of the stored traces."""
    at = events.Clock.now()
    numbers = random.Random(seed).sample(range(stored), count)
    return [events.feedback(stored_traces.name_of(number), number, at) for number in numbers]


def run(found: Engines, stored: int, count: int, seed: int) -> Run:
    """A worker that starts with a backlog of `count` feedbacks, until all are stored."""
    wanted = committed(found, WORKERS, [FEEDBACK_EVENTS]) + count
    events.send(found.kafka, feedback(stored, count, seed))
    rows = counter(found, "feedback.feedback_rows")
    with worker(found, FEEDBACK_OFFSET_BASE="1000000000") as child:
        before, began, spent = rows(), time.perf_counter(), child.cpu_seconds
        rate = steady_rate(child, rows, count)
        until(lambda: rows() - before >= count, "all are stored", child=child)
        seconds, spent = time.perf_counter() - began, child.cpu_seconds - spent
        until_committed(found, wanted - 1, "all are committed", child=child)
        status = Path(f"/proc/{child.pid}/status").read_text()
        peak_kib = int(status.partition("VmHWM:")[2].split()[0])
        child.terminate()
    return Run(rate.per_second, seconds / count * 1e6, spent / count * 1e6, peak_kib * 1024 / 1e6)


def measure(options: Namespace) -> Found:
    small, large = options.events, options.events * 10
    few = options.stored // 5
    measured = Found([], [], [])
    with engines() as found:
        stored_traces.load(found, 0, few)
        stored_traces.settle(found)
        for n in range(options.rounds):
            measured.few_stored.append(run(found, few, small, seed=n))
        stored_traces.load(found, few, options.stored - few)
        stored_traces.settle(found)
        for n in range(options.rounds):
            measured.all_stored.append(run(found, options.stored, small, seed=100 + n))
        for n in range(options.tenfold_rounds):
            measured.tenfold.append(run(found, options.stored, large, seed=200 + n))
        client: Any = clickhouse_connect.get_client(dsn=found.clickhouse)
        if alone := client.command("SELECT count() FROM feedback.feedback WHERE join_state != 'joined'"):
            raise RuntimeError(f"{alone} feedbacks were not joined with their stored request")
    return measured


def report(options: Namespace, found: Found) -> Benchmark:
    stored, few = f"{options.stored:,} traces stored", f"{options.stored // 5:,} traces stored"
    tenfold = median(r.cpu_us for r in found.tenfold) / median(r.cpu_us for r in found.all_stored)
    slower = median(r.whole_us for r in found.tenfold) / median(r.whole_us for r in found.all_stored)

    def rates(what: str, runs: list[Run], *goals: Goal) -> Figure:
        return Figure(what, "feedback/s", [each.per_second for each in runs], goals=goals)

    def memory(what: str, runs: list[Run]) -> Figure:
        peaks = [each.peak_mb for each in runs]
        return Figure(what, "MB", peaks, goals=[Goal("MB", median(peaks), 600, at_least=False)])

    rate = median(each.per_second for each in found.all_stored)
    grown = median(r.peak_mb for r in found.all_stored) / median(r.peak_mb for r in found.few_stored)
    return Benchmark(
        "cold_join",
        "Cold join",
        "make bench-cold-join",
        [
            f"Feedback on random ones of {options.stored:,} stored traces, {options.events:,} of them at each start"
            " of a worker,"
            " whose cache is then empty: each trace is looked up in the journal. Worker on one core, broker and"
            " ClickHouse on the"
            " other; the rate is that of rows appearing, from the first fifth to four fifths. The cost of an event is"
            " counted from the worker's readiness until all is stored. Memory is the most that the worker"
            " held in its life. Every feedback was joined; the run fails otherwise.",
        ],
        [
            rates(f"{few}", found.few_stored),
            rates(f"{stored}", found.all_stored, Goal("feedback/s", rate, 15_000)),
            rates(f"{stored}, ten times the events", found.tenfold),
            memory(f"worker's memory, {few}", found.few_stored),
            memory(f"worker's memory, {stored}", found.all_stored),
            memory("worker's memory, ten times the events", found.tenfold),
            Figure(
                "memory at five times the traces, over that before",
                "×",
                [grown],
                goals=[Goal("×", grown, 1.1, at_least=False)],
            ),
            Figure("cost of an event", "µs", [each.whole_us for each in found.all_stored]),
            Figure(
                "cost of an event among ten times as many",
                "µs",
                [each.whole_us for each in found.tenfold],
                goals=[Goal("× that before", slower, 1.1, at_least=False)],
            ),
            Figure("the same by the worker's CPU alone", "×", [tenfold]),
        ],
    )


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--stored", type=int, default=5_000_000, help="traces stored before")
    options.add_argument("--events", type=int, default=50_000, help="feedback a worker finds at its start")
    options.add_argument("--tenfold-rounds", type=int, default=1, help="rounds with ten times the events")
    given = options.parse_args()
    stand_aside()
    keep(given, report(given, measure(given)))


if __name__ == "__main__":
    main()
