"""How many spans a second one edge process takes as OTLP: `python -m benchmarks.otlp`.

On one core, load and broker on the other: exports of 512 spans in protobuf, as the Collector and SDKs send them, of
spans that are calls to a model, with and without their messages, and of spans that are not. Each export is of traces of
its own. The limit is what the same core takes to parse the same bytes with protobuf and to touch nothing in them.
"""

import gzip
import http.client
import json
import os
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.engines import MEASURED_CORE, Child, answers, engines, running, stand_aside, until
from benchmarks.options import keep, parser
from benchmarks.report import Benchmark, Figure, Goal
from deploy.kafka.broker import free_ports

SPANS, EXPORTS, CONNECTIONS = 512, 20, 2
GOAL = 20_000
CALLS, PACKED, TALK, OTHERS = "calls to a model", "the same under gzip", "calls with messages of 1 KB", "other spans"
LIMIT = "the limit: protobuf's parser alone"
_CALL: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.request.temperature": 0.5,
    "server.address": "api.openai.com",
    "server.port": 443,
}
_OTHER: dict[str, Any] = {"http.request.method": "GET", "url.path": "/titles", "http.response.status_code": 200}


@dataclass
class SpanRates:
    """By case and round: spans per second, and CPU microseconds of the edge per span."""

    rates: dict[str, list[float]] = field(default_factory=dict)
    spent: dict[str, list[float]] = field(default_factory=dict)


def an_export(number: int, attributes: Mapping[str, Any], said: str = "") -> bytes:
    """An export of spans whose ids, counts, users and response ids differ."""
    message = ExportTraceServiceRequest()
    of_resource = message.resource_spans.add()
    of_resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    spans = of_resource.scope_spans.add().spans
    began = time.time_ns()
    for each in range(SPANS):
        span = spans.add(trace_id=os.urandom(16), span_id=os.urandom(8), parent_span_id=os.urandom(8), name="chat",
                         start_time_unix_nano=began - each, end_time_unix_nano=began + 840_000_000)  # fmt: skip
        own = {"user.id": f"user-{each}", "gen_ai.response.id": f"chatcmpl-{number}-{each}"}
        own |= {"gen_ai.usage.input_tokens": each, "gen_ai.usage.output_tokens": each // 3}
        for name, value in (attributes | own if attributes is _CALL else attributes).items():
            held = span.attributes.add(key=name).value
            kind = {str: "string_value", int: "int_value", float: "double_value"}[type(value)]
            setattr(held, kind, value)
        for name in ("gen_ai.input.messages", "gen_ai.output.messages") if said else ():
            talk = [{"role": "user", "parts": [{"type": "text", "content": f"{each} {said}"}]}]
            span.attributes.add(key=name).value.string_value = json.dumps(talk)
    return message.SerializeToString()


def send(port: int, bodies: list[bytes], headers: Mapping[str, str], until_s: float) -> int:
    """Send exports one after the other until the time is over; how many."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    sent = 0
    while time.perf_counter() < until_s:
        connection.request("POST", "/v1/traces", bodies[sent % len(bodies)], dict(headers))
        answer = connection.getresponse()
        if answer.status != 200 or answer.read():
            raise RuntimeError(f"an export was not taken whole: {answer.status}")
        sent += 1
    connection.close()
    return sent


def load(port: int, bodies: list[bytes], seconds: float, coding: str) -> tuple[float, int]:
    """Spans per second over a few connections, and spans in all."""
    headers = {"content-type": "application/x-protobuf"} | ({"content-encoding": coding} if coding else {})
    began, sent = time.perf_counter(), [0] * CONNECTIONS

    def one(number: int) -> None:
        sent[number] = send(port, bodies[number::CONNECTIONS], headers, began + seconds)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(CONNECTIONS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    if not all(sent):
        raise RuntimeError("a connection has sent nothing")
    spans = sum(sent) * SPANS
    return spans / (time.perf_counter() - began), spans


def measure(options: Namespace) -> SpanRates:
    (port,) = free_ports(1)
    said = "a title for an article about the sea, please; " * 10
    plain = [an_export(number, _CALL) for number in range(EXPORTS)]
    cases = {
        CALLS: (plain, ""),
        PACKED: ([gzip.compress(each, 6) for each in plain], "gzip"),
        TALK: ([an_export(number, _CALL, said) for number in range(EXPORTS)], ""),
        OTHERS: ([an_export(number, _OTHER) for number in range(EXPORTS)], ""),
    }
    found = SpanRates()
    with engines() as engine, ExitStack() as stack:
        environment = {**engine.environment, "FEEDBACK_PORT": str(port)}
        edge: Child = stack.enter_context(running([sys.executable, "-m", "ingest_api"], MEASURED_CORE, environment))
        until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), "the edge answers", seconds=60, child=edge)
        for number in range(options.rounds):
            for name, (bodies, coding) in cases.items():
                before = edge.cpu_seconds
                rate, spans = load(port, bodies, options.seconds, coding)
                found.rates.setdefault(name, []).append(rate)
                found.spent.setdefault(name, []).append((edge.cpu_seconds - before) / spans * 1e6)
            found.spent.setdefault(LIMIT, []).append(parsing_us(plain))
            line = ", ".join(
                f"{name} {each[-1]:,.0f}/s ({found.spent[name][-1]:.1f} µs)" for name, each in found.rates.items()
            )
            print(f"round {number + 1}: {line}; {LIMIT} {found.spent[LIMIT][-1]:.1f} µs", flush=True)
    return found


def parsing_us(bodies: list[bytes]) -> float:
    """CPU microseconds per span to parse the bodies."""
    began = time.process_time()
    for each in bodies:
        ExportTraceServiceRequest.FromString(each)
    return (time.process_time() - began) / (len(bodies) * SPANS) * 1e6


def report(found: SpanRates) -> Benchmark:
    spent = {name: median(each) for name, each in found.spent.items()}

    def figure(name: str) -> Figure:
        a_core = [1e6 / each for each in found.spent[name]]
        goals = [Goal("spans/s a core", median(a_core), GOAL)] if name in (CALLS, OTHERS) else []
        return Figure(f"{name}, for each second of CPU", "spans/s", a_core, spent[LIMIT] / spent[name], {}, goals)

    told = ", ".join(f"{name} {median(each):,.0f}" for name, each in found.rates.items())
    costs = ", ".join(f"{name} {each:.1f}" for name, each in spent.items())
    return Benchmark(
        "otlp",
        "OTLP",
        "make bench-otlp",
        [
            f"Spans taken by one edge process on one core, in exports of {SPANS} over {CONNECTIONS} connections; broker"
            " and load on the other core. A call to a model has eleven attributes and becomes a request in Kafka; other"
            " spans have three and are not kept.",
            "Figures are spans for each second of CPU that the process spent, since broker and load do not keep up"
            f" with it on this machine. Spans a second by the clock: {told}.",
            f"CPU microseconds per span: {costs}.",
        ],
        [figure(name) for name in (CALLS, PACKED, TALK, OTHERS)],
    )


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, default=5, help="of each measurement (default: 5)")
    given = options.parse_args()
    stand_aside()
    keep(given, report(measure(given)))


if __name__ == "__main__":
    main()
