"""How many feedbacks a second a worker joins, stores and publishes: `python -m benchmarks.worker`.

Beside the same job in plain Faust and in Quix Streams, and beside the limit. Each has engines of its own, fresh and
empty, on the other core; its requests are read before the clock starts.
"""

import sys
import tempfile
from argparse import Namespace
from statistics import median

from benchmarks import events
from benchmarks.commits import until_committed
from benchmarks.engines import MEASURED_CORE, Engines, engines, running, stand_aside, until
from benchmarks.options import keep, parser
from benchmarks.programs import Rate, counter, plain_faust, quix_streams, steady_rate, worker
from benchmarks.report import Benchmark, Figure, Goal
from schemas.topics import REQUEST_LOGS

BATCH = 10_000
LARGE_CACHE = {"FEEDBACK_CACHE_MB": "1000"}
Rates = dict[str, Rate]
WARM, COLD, LIMIT = "ours, state remembered", "ours, state looked up", "the limit"
FAUST, QUIX = "plain Faust", "Quix Streams"


def ours_warm(count: int) -> Rates:
    """Feedback on traces whose requests this worker has just read."""
    requests, feedback = events.on_traces(count)
    with engines() as found:
        events.send(found.kafka, requests)
        stored = counter(found, "feedback.request_log_rows")
        with worker(found, **LARGE_CACHE) as child:
            until(lambda: stored() >= count, "requests are stored", pause=0.1, child=child)
            events.send(found.kafka, feedback)
            return {WARM: steady_rate(child, counter(found, "feedback.trace_aggregate_rows"), count)}


def ours_cold(count: int) -> Rates:
    """Feedback on traces that another worker has read the requests of, then the limit on the same records."""
    requests, feedback = events.on_traces(count)
    with engines() as found:
        events.send(found.kafka, requests)
        stored = counter(found, "feedback.request_log_rows")
        with worker(found) as child:
            until(lambda: stored() >= count, "requests are stored", pause=0.1, child=child)
            until_committed(found, count - 1, "requests are committed", topics=[REQUEST_LOGS], child=child)
            child.terminate()
        events.send(found.kafka, feedback)
        aggregates = counter(found, "feedback.trace_aggregate_rows")
        with worker(found) as child:
            cold = steady_rate(child, aggregates, count)
            until(lambda: aggregates() >= count, "all are stored", pause=0.1, child=child)
        return {COLD: cold, LIMIT: limit(found, count)}


def limit(found: Engines, count: int) -> Rate:
    argv = [sys.executable, "-m", "benchmarks.bare_consumer", str(count), str(min(BATCH, count // 10))]
    with running(argv, MEASURED_CORE, found.environment) as child:
        before = child.cpu_seconds
        until(lambda: child.says("rate"), "the bare consumer is done", child=child)
        spent = child.cpu_seconds - before
        return Rate(float(child.log.read_text().split()[-1]), spent / count * 1e6)


def peer(name: str, count: int) -> Rates:
    """A peer that has read its requests before the clock starts."""
    start = {FAUST: plain_faust, QUIX: quix_streams}[name]
    requests, feedback = events.on_traces(count)
    with engines() as found, tempfile.TemporaryDirectory() as state_dir:
        events.send(found.kafka, requests)
        with start(found, count, state_dir) as child:
            events.send(found.kafka, feedback)
            return {name: steady_rate(child, counter(found, "default.peer_feedback"), count)}


def measure(options: Namespace) -> list[Rates]:
    rounds = []
    for number in range(options.rounds):
        rates = ours_warm(options.events) | ours_cold(options.events)
        rates |= peer(FAUST, options.faust_events) | peer(QUIX, options.quix_events)
        rounds.append(rates)
        said = ", ".join(f"{name} {rate.per_second:,.0f}/s ({rate.cpu_us:.0f} µs)" for name, rate in rates.items())
        print(f"round {number + 1}: {said}", flush=True)
    return rounds


def report(options: Namespace, rounds: list[Rates]) -> Benchmark:
    def rounds_of(name: str) -> list[float]:
        return [each[name].per_second for each in rounds]

    def rate(name: str) -> float:
        return median(rounds_of(name))

    def ours(name: str) -> Figure:
        of_faust, of_quix = rate(name) / rate(FAUST), rate(name) / rate(QUIX)
        of_limit = rate(name) / rate(LIMIT)
        goals = (
            Goal(f"× {FAUST}", of_faust, 40),
            Goal(f"× {QUIX}", of_quix, 4),
            Goal("of the limit", of_limit, 0.5),
        )
        return Figure(name, "feedback/s", rounds_of(name), of_limit, {FAUST: of_faust, QUIX: of_quix}, goals)

    def beside(name: str) -> Figure:
        return Figure(name, "feedback/s", rounds_of(name), rate(name) / rate(LIMIT))

    spent = ", ".join(f"{name} {median(each[name].cpu_us for each in rounds):.0f}" for name in rounds[0])
    return Benchmark(
        "worker",
        "Worker",
        "make bench-worker",
        [
            "Feedback joined with its request, stored and published, a second, by one program on one core, broker and"
            f" ClickHouse on the other. One request and one feedback on each trace ({options.events:,} of ours,"
            f" {options.faust_events:,} of plain Faust, {options.quix_events:,} of Quix Streams); requests are read"
            " before"
            " feedback is sent; the rate is that of rows appearing in ClickHouse, from the first fifth to four fifths.",
            "*State remembered*: the same worker has read the requests, and its cache is large enough. *State looked"
            " up*:"
            " the worker has just been started and asks ClickHouse for each trace.",
            "The limit is a bare aiokafka consumer that reads the same records and inserts ready-made Arrow bytes"
            " into the"
            " same three tables, 10,000 rows at a time; it decodes, decides and publishes nothing.",
            "Both peers join from state (a table of Faust's in memory, a RocksDB store of Quix Streams'), keep each"
            " trace's"
            " count, sums, extremes and last value in state, publish both enriched feedback and numbers, and insert"
            " both in"
            " batches into two tables. They keep no journal, no versions and no history, and survive no crash exactly.",
            f"CPU microseconds per feedback of the program alone: {spent}.",
        ],
        [*map(ours, (WARM, COLD)), *map(beside, (LIMIT, FAUST, QUIX))],
        {"quixstreams": "3.28.1"},
    )


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--events", type=int, default=120_000, help="feedback for ours and the limit")
    options.add_argument("--faust-events", type=int, default=10_000)
    options.add_argument("--quix-events", type=int, default=60_000)
    given = options.parse_args()
    stand_aside()
    keep(given, report(given, measure(given)))


if __name__ == "__main__":
    main()
