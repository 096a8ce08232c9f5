"""From a call to the edge until its feedback shows in SQL, under load: `python -m benchmarks.latency`.

The broker is Apache Kafka unless the embedded one is asked for, whose work for each record that it hands out grows with
its log (docs/performance.md).

First the most that the worker does is measured, by a backlog. Then calls are sent at half of that, each at its
appointed time whether or not earlier ones were answered, and latency counts from the appointed time: what waits in a
queue counts.
"""

import asyncio
import json
import random
import sys
import time
from argparse import Namespace
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

import aiohttp
import clickhouse_connect

from benchmarks import cold_join, events, stored_traces
from benchmarks.commits import until_committed
from benchmarks.engines import Engines, answers, engines, running, until
from benchmarks.options import keep, parser
from benchmarks.programs import counter, steady_rate
from benchmarks.report import Benchmark, Figure, Goal
from deploy.kafka.broker import free_ports

LOOK_EVERY_S = 0.1


@dataclass
class Call:
    """A call and its moments, in seconds of one clock: when it should be sent, was answered, and was seen in SQL."""

    body: bytes
    probe: str
    due: float = 0.0
    accepted: float = 0.0
    visible: float = 0.0


@dataclass
class Found:
    maximum: float
    offered: float
    rounds: list[list[Call]] = field(default_factory=list)


def calls(count: int, size: int, stored: int, seed: int) -> list[Call]:
    """Bulk calls on random stored traces. The last feedback of each is on a trace of its own, by which it is found.

    It is of an organisation that no other feedback of the round is of, and so found by the table's own key: looking
    must not become the load.
    """
    chance = random.Random(seed)
    made = []
    for n in range(count):
        probe = f"probe-{seed}-{n}"
        traces = [stored_traces.name_of(chance.randrange(stored)) for _ in range(size - 1)] + [probe]
        tags = {"_organisation": f"o{n % 40}", "_environment": "production", "text": "title was irrelevant"}
        body = [{"trace_id": trace, "value": n % 21 - 10, "weight": 0.5, "metadata": tags} for trace in traces]
        body[-1]["metadata"] = {**tags, "_organisation": probes_of(seed)}
        made.append(Call(json.dumps(body).encode(), probe))
    return made


def probes_of(seed: int) -> str:
    """The organisation of a round's probes."""
    return f"probes-{seed}"


async def drive(url: str, clickhouse: str, sent: list[Call], seed: int, interval: float) -> None:
    """Send each call at its time and look in the view until all are seen. RuntimeError if one was not answered 200."""
    waiting: dict[str, Call] = {}
    start = time.perf_counter() + 0.2
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers={"Content-Type": "application/json"}) as session:

        async def send(call: Call) -> None:
            async with session.post(url, data=call.body) as reply:
                if reply.status != 200:
                    raise RuntimeError(f"the edge answered {reply.status}: {await reply.text()}")
            call.accepted = time.perf_counter()
            waiting[call.probe] = call

        async def schedule() -> None:
            tasks = []
            for n, call in enumerate(sent):
                call.due = start + n * interval
                await asyncio.sleep(max(0.0, call.due - time.perf_counter()))
                tasks.append(asyncio.create_task(send(call)))
            await asyncio.gather(*tasks)

        sending = asyncio.create_task(schedule())
        await asyncio.gather(sending, _look(clickhouse, _LOOK.format(organisation=probes_of(seed)), waiting, sending))


# The table behind the view `feedback`, by its sort key, which the view does not show: a row is in both at once.
_LOOK = """
SELECT DISTINCT trace_id FROM feedback.feedback_rows
WHERE workspace = 'default' AND home_environment = 'production' AND home_organisation = '{organisation}'
"""


async def _look(clickhouse: str, statement: str, waiting: dict[str, Call], sending: "asyncio.Task[None]") -> None:
    client = await clickhouse_connect.get_async_client(dsn=clickhouse)
    while waiting or not sending.done():
        began = time.perf_counter()
        if waiting:
            found = await client.query(statement)
            now = time.perf_counter()
            for probe in waiting.keys() & {trace_id for (trace_id,) in found.result_rows}:
                waiting.pop(probe).visible = now
        await asyncio.sleep(max(0.0, began + LOOK_EVERY_S - time.perf_counter()))
    await client.close()


def maximum(found: Engines, stored: int, count: int) -> float:
    """Feedback per second of a worker with a backlog, on this machine as a whole."""
    events.send(found.kafka, cold_join.feedback(stored, count, seed=0))
    with running([sys.executable, "-m", "stream_workers"], None, _settings(found)) as child:
        rows = counter(found, "feedback.feedback_rows")
        rate = steady_rate(child, rows, count).per_second
        until_committed(found, count - 1, "all are committed", child=child)
        child.terminate()
    return rate


def measure(options: Namespace) -> Found:
    with engines(pinned=False, apache=options.broker == "kafka") as found, ExitStack() as stack:
        stored_traces.load(found, 0, options.stored)
        stored_traces.settle(found)
        most = maximum(found, options.stored, options.backlog)
        measured = Found(most, most / 2)
        port, worker_port = free_ports(2)
        edge = {**found.environment, "FEEDBACK_PORT": str(port)}
        stack.enter_context(running([sys.executable, "-m", "ingest_api"], None, edge))
        settings = {**_settings(found), "FEEDBACK_METRICS_PORT": str(worker_port)}
        worker = stack.enter_context(running([sys.executable, "-m", "stream_workers"], None, settings))
        until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), "the edge is ready")
        until(lambda: answers(f"http://127.0.0.1:{worker_port}/readyz"), "the worker is ready", child=worker)
        interval, accepted = options.call_size / measured.offered, options.backlog
        for n in range(options.rounds + 1):
            sent = calls(int(options.seconds / interval), options.call_size, options.stored, seed=n)
            asyncio.run(drive(f"http://127.0.0.1:{port}/v1/feedback", found.clickhouse, sent, n, interval))
            if n:  # the first round warms up
                measured.rounds.append(sent)
                print(f"round {n}: p99 {percentile([c.visible - c.due for c in sent], 99):.3f} s", flush=True)
            accepted += len(sent) * options.call_size
        until(lambda: _stored(found) == accepted, "everything accepted is stored", seconds=30)
    return measured


def _settings(found: Engines) -> dict[str, str]:
    return {**found.environment, "FEEDBACK_OFFSET_BASE": "1000000000"}


def _stored(found: Engines) -> int:
    client: Any = clickhouse_connect.get_client(dsn=found.clickhouse)
    return int(client.command("SELECT count() FROM feedback.feedback"))


def percentile(values: list[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def report(options: Namespace, found: Found) -> Benchmark:
    def figure(what: str, percent: int, latencies: list[list[float]], *bounds: float) -> Figure:
        rounds = [percentile(each, percent) for each in latencies]
        goals = [Goal("s", median(rounds), bound, at_least=False) for bound in bounds]
        return Figure(what, "s", rounds, goals=goals)

    from_due = [[call.visible - call.due for call in each] for each in found.rounds]
    from_accepted = [[call.visible - call.accepted for call in each] for each in found.rounds]
    to_accepted = [[call.accepted - call.due for call in each] for each in found.rounds]
    broker = "Apache Kafka" if options.broker == "kafka" else "the embedded broker"
    return Benchmark(
        "latency",
        "Latency",
        "make bench-latency",
        [
            f"Feedback that the edge takes until it shows in SQL, at {found.offered:,.0f} a second: half of the"
            f" {found.maximum:,.0f} a second that the same worker reaches with a backlog here. Edge, worker, {broker},"
            " the embedded ClickHouse and the load itself share the machine, pinned nowhere.",
            f"Open loop: calls of {options.call_size} feedbacks on random stored traces, each sent when it is due, for"
            f" {options.seconds:g} s a round. `feedback_rows` is asked every {LOOK_EVERY_S * 1000:.0f} ms for"
            " one feedback"
            " of each call;"
            " the answer's arrival is the time at which it shows. *Due* is the time at which the call should have"
            " been sent.",
        ],
        [
            figure("due until visible, p99", 99, from_due, 1.5),
            figure("due until visible, p50", 50, from_due),
            figure("accepted until visible, p99", 99, from_accepted, 1.5),
            figure("due until accepted (200), p99", 99, to_accepted),
        ],
    )


def main() -> None:
    options = parser(__doc__)
    options.add_argument(
        "--broker", choices=["kafka", "embedded"], default="kafka", help="Apache Kafka or the embedded one"
    )
    options.add_argument("--stored", type=int, default=200_000, help="traces stored before")
    options.add_argument("--seconds", type=float, default=15, help="length of a round")
    options.add_argument("--call-size", type=int, default=100, help="feedback in one call")
    options.add_argument("--backlog", type=int, default=100_000, help="feedback by which the worker's most is measured")
    given = options.parse_args()
    keep(given, report(given, measure(given)))


if __name__ == "__main__":
    main()
