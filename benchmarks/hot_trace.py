"""What a trace with very many events costs beside ordinary ones: `python -m benchmarks.hot_trace`.

As many requests and feedbacks on one trace as on thousands of ordinary traces: in the stream, with one worker from
start to end, with a worker that starts anew in the middle, and with requests that come after the feedback; then in
every read.
"""

import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import clickhouse_connect

from benchmarks import hot_trace_reads as reads
from benchmarks.commits import WORKERS, committed, until_committed
from benchmarks.engines import Engines, engines, stand_aside
from benchmarks.events import Clock, Event, feedback, request, send
from benchmarks.options import keep, parser
from benchmarks.programs import worker
from benchmarks.report import Benchmark, Figure, Goal
from schemas.topics import INPUTS

HOT, ORDINARY = "hot", "ordinary"
AT_MOST = 3.0
Parts = list[list[Event]]


@dataclass(frozen=True)
class Load:
    """Requests and feedback on traces of one kind, all created in one hour."""

    requests: list[Event]
    feedback: list[Event]
    traces: list[str]
    at: Clock

    def together(self) -> Parts:
        """Everything is there when the worker starts."""
        return [self.requests + self.feedback]

    def restarted(self) -> Parts:
        """A worker reads the first half, another the second."""
        r, f = len(self.requests) // 2, len(self.feedback) // 2
        return [self.requests[:r] + self.feedback[:f], self.requests[r:] + self.feedback[f:]]

    def requests_last(self) -> Parts:
        """All feedback waits for its request, which another worker reads."""
        return [self.feedback, self.requests]


def load(kind: str, options: Namespace, hours_ago: int, tag: str) -> Load:
    """On one trace if it is hot, else one request on each trace and as many feedbacks as come to it."""
    at = Clock.before(hours_ago)
    traces = [f"{kind}-{tag}-{n}" for n in range(1 if kind == HOT else options.requests)]
    requests = [request(traces[n % len(traces)], n, at) for n in range(options.requests)]
    given = [feedback(traces[n % len(traces)], n, at) for n in range(options.feedback)]
    return Load(requests, given, traces, at)


CASES: dict[str, Callable[[Load], Parts]] = {
    "one worker": Load.together,
    "a worker started anew in the middle": Load.restarted,
    "requests after all feedback": Load.requests_last,
}


def us_per_event(found: Engines, parts: Parts) -> float:
    """Microseconds per event from a worker's readiness until it has committed all, summed over the parts."""
    seconds = 0.0
    for part in parts:
        wanted = committed(found, WORKERS, INPUTS) + len(part)
        send(found.kafka, part)
        with worker(found) as child:
            began = time.perf_counter()
            until_committed(found, wanted - 1, "all is committed", topics=INPUTS, child=child)
            seconds += time.perf_counter() - began
            child.terminate()
    return seconds / sum(map(len, parts)) * 1e6


def measure(options: Namespace) -> tuple[dict[str, list[dict[str, float]]], dict[str, dict[str, list[float]]]]:
    """Microseconds per event of each case and kind in every round; milliseconds of each read in every round."""
    stream: dict[str, list[dict[str, float]]] = defaultdict(list)
    for n in range(options.rounds):
        with engines() as found:
            for number, (case, parts_of) in enumerate((case, CASES[case]) for case in options.case or CASES):
                loads = {
                    kind: load(kind, options, 2 * number + 2 + (kind == HOT), f"{n}-{number}")
                    for kind in (ORDINARY, HOT)
                }
                took = {kind: us_per_event(found, parts_of(each)) for kind, each in loads.items()}
                stream[case].append(took)
                print(f"round {n + 1}, {case}: {took}", flush=True)
                check(found, loads, options)
            if n == options.rounds - 1:
                read = reads.measure(found, loads[ORDINARY], loads[HOT], options.reads)
    return stream, read


def check(found: Engines, loads: dict[str, Load], options: Namespace) -> None:
    """RuntimeError unless the hot trace's numbers are those of what was sent."""
    client: Any = clickhouse_connect.get_client(dsn=found.clickhouse)
    (trace,) = loads[HOT].traces
    row = client.query(
        "SELECT feedback_count, requests, toInt64(value_weight_sum * 2) FROM feedback.trace_aggregates"
        f" WHERE trace_id = '{trace}'"
    ).result_rows
    wanted = (options.feedback, options.requests, sum(n % 21 - 10 for n in range(options.feedback)))
    joined = int(
        client.command(f"SELECT countIf(join_state = 'joined') FROM feedback.feedback WHERE trace_id = '{trace}'")
    )
    if list(row) != [wanted] or joined != options.feedback:
        raise RuntimeError(f"the numbers of {trace} are {row} with {joined} joined, and should be {wanted}")


def report(
    options: Namespace, stream: dict[str, list[dict[str, float]]], read: dict[str, dict[str, list[float]]]
) -> Benchmark:
    def pair(what: str, unit: str, kinds: dict[str, list[float]]) -> list[Figure]:
        ratio = median(kinds[HOT]) / median(kinds[ORDINARY])
        goal = Goal("× the ordinary", ratio, AT_MOST, at_least=False)
        return [
            Figure(f"{what}, hot", unit, kinds[HOT], None, {"the ordinary": ratio}, [goal]),
            Figure(f"{what}, ordinary", unit, kinds[ORDINARY]),
        ]

    figures = []
    for case, rounds in stream.items():
        figures += pair(f"stream: {case}", "µs/event", {kind: [r[kind] for r in rounds] for kind in (HOT, ORDINARY)})
    for name, kinds in read.items():
        figures += pair(f"read: {name}", "ms", kinds)
    return Benchmark(
        "hot_trace",
        "Hot trace",
        "make bench-hot-trace",
        [
            f"{options.feedback:,} feedbacks and {options.requests:,} requests on one trace, beside as many on"
            f" {options.requests:,} ordinary traces. In the stream: time per event from the worker's readiness until"
            " all is"
            " committed; the numbers and states of the hot trace are compared with what was sent.",
            "Reads of many rows are of equally many: all feedback or all request logs of the hot trace, and of all"
            " the ordinary"
            " ones by their trace ids. Reads of one answer (aggregate, receipt, a bucket of rollups) are compared as"
            " they are."
            " Computing an hour of rollups is compared between an hour that holds nothing but the hot trace and one"
            " that holds"
            " nothing but the ordinary ones.",
        ],
        figures,
    )


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--feedback", type=int, default=100_000)
    options.add_argument("--requests", type=int, default=10_000)
    options.add_argument("--case", choices=CASES, action="append", help="of the stream; may be repeated (default: all)")
    options.add_argument("--reads", type=int, default=9, help="how often each read is measured")
    given = options.parse_args()
    stand_aside()
    keep(given, report(given, *measure(given)))


if __name__ == "__main__":
    main()
