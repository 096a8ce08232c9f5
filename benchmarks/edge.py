"""How many feedbacks a second one edge process accepts, and how soon: `python -m benchmarks.edge` (needs `wrk`).

Side by side in one run on one core, load and broker on the other: ours with one event a request and with 100; FastAPI
with a body model and `send_and_wait`; and the limit, bare ASGI on the same server.
"""

import sys
from argparse import Namespace
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median, quantiles

from benchmarks.edge_load import bodies, closed_loop, open_loop
from benchmarks.engines import MEASURED_CORE, Child, answers, engines, running, stand_aside, until
from benchmarks.options import keep, parser
from benchmarks.report import Benchmark, Figure, Goal
from benchmarks.wrk import require_wrk
from deploy.kafka.broker import free_ports

SERVER = ["--log-level", "warning", "--no-access-log", "--loop", "uvloop", "--http", "httptools"]
LIMIT, PEER = "the limit: bare ASGI on the same server", "FastAPI"
ONE, HUNDRED = "ours, one a request", "ours, 100 a request"


@dataclass
class Found:
    """By case and round: events per second and CPU microseconds per event; by round, latencies in seconds."""

    rates: dict[str, list[float]] = field(default_factory=dict)
    spent: dict[str, list[float]] = field(default_factory=dict)
    offered: float = 0.0
    latencies: list[list[float]] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    server: Child
    port: int
    sent: list[str]
    events: int


def measure(options: Namespace) -> Found:
    ours, hello, peer = free_ports(3)
    with engines() as engine, ExitStack() as stack:

        def serve(argv: list[str], port: int, ready: str) -> Child:
            environment = {**engine.environment, "FEEDBACK_PORT": str(port)}
            child = stack.enter_context(running([sys.executable, "-m", *argv], MEASURED_CORE, environment))
            until(lambda: answers(f"http://127.0.0.1:{port}{ready}"), f"{argv[0]} answers", seconds=60, child=child)
            return child

        edge = serve(["ingest_api"], ours, "/readyz")
        bare = serve(["uvicorn", "benchmarks.edge_peers:hello", "--port", str(hello), *SERVER], hello, "")
        plain = serve(["uvicorn", "benchmarks.edge_peers:plain_fastapi", "--port", str(peer), *SERVER], peer, "/docs")
        single, bulk = bodies(2_000, 1), bodies(200, 100)
        cases = {
            LIMIT: Case(bare, hello, single, 1),
            PEER: Case(plain, peer, single, 1),
            ONE: Case(edge, ours, single, 1),
            HUNDRED: Case(edge, ours, bulk, 100),
        }
        found = Found()
        for number in range(options.rounds):
            for name, case in cases.items():
                before = case.server.cpu_seconds
                rate, calls = closed_loop(case.port, case.sent, options.seconds)
                spent = (case.server.cpu_seconds - before) / (calls * case.events) * 1e6
                found.rates.setdefault(name, []).append(rate * case.events)
                found.spent.setdefault(name, []).append(spent)
            said = ", ".join(
                f"{name} {each[-1]:,.0f}/s ({found.spent[name][-1]:.1f} µs)" for name, each in found.rates.items()
            )
            print(f"round {number + 1}: {said}", flush=True)
        found.offered = median(found.rates[ONE]) / 2
        for _ in range(options.rounds):
            found.latencies.append(open_loop(ours, single, found.offered, options.seconds))
    return found


def report(found: Found) -> Benchmark:
    def rate(name: str) -> float:
        return median(found.rates[name])

    def figure(name: str, *goals: Goal, peers: dict[str, float] | None = None) -> Figure:
        return Figure(name, "events/s", found.rates[name], rate(name) / rate(LIMIT), peers or {}, goals)

    def latency(percent: int) -> Figure:
        rounds = [quantiles(each, n=100)[percent - 1] * 1000 for each in found.latencies]
        return Figure(f"ours, one a request, p{percent} at half of that load", "ms", rounds)

    of_peer, of_limit, of_one = rate(ONE) / rate(PEER), rate(ONE) / rate(LIMIT), rate(HUNDRED) / rate(ONE)
    spent = ", ".join(f"{name} {median(each):.1f}" for name, each in found.spent.items())
    return Benchmark(
        "edge",
        "Edge",
        "make bench-edge",
        [
            "Feedback accepted a second by one process on one core with `acks=all`; broker and load (`wrk`, 64"
            " connections) on the other. Every feedback is on a trace of its own, in one of eight partitions.",
            "The limit answers a constant after it has read the body, and knows no Kafka. The peer is FastAPI with a"
            " body model and aiokafka's `send_and_wait`. Both are served by uvicorn with uvloop and httptools,"
            " without access log, as ours is.",
            "A call of ours costs the limit's work and one to two times as much again: what is plain is read by"
            " msgspec in C and by the rules only if it is not; events go straight into their partition's batch, one"
            " for all that came while the last was under way; head and body of an answer leave in one system call"
            " instead of two. Of a call's own time about a quarter is aiokafka's, per batch and not per event: with"
            " 64 calls at a time over eight partitions, batches are small.",
            f"Latency is that of calls sent at a fixed rate ({found.offered:,.0f}/s), each counted from the moment it"
            " was due; the load program's own lateness of up to 1 ms is in it.",
            f"CPU microseconds per event of the program alone: {spent}.",
        ],
        [
            figure(LIMIT),
            figure(PEER),
            figure(ONE, Goal(f"× {PEER}", of_peer, 3), Goal("of the limit", of_limit, 0.5), peers={PEER: of_peer}),
            figure(HUNDRED, Goal(f"× {ONE}", of_one, 10), peers={PEER: rate(HUNDRED) / rate(PEER)}),
            latency(50),
            latency(99),
        ],
    )


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seconds", type=int, default=5, help="of each measurement (default: 5)")
    given = options.parse_args()
    require_wrk()
    stand_aside()
    keep(given, report(measure(given)))


if __name__ == "__main__":
    main()
