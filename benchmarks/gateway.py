"""What a gateway costs a call: `python -m benchmarks.gateway` (needs `wrk`, and `make .venv/.litellm` for the peer).

Side by side in one run, what is measured on one core, provider, API and load on the other: a direct call, ours, ours
while the API is down, and LiteLLM's proxy, which logs each call as well.
"""

import json
import re
import sys
from argparse import Namespace
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.engines import MEASURED_CORE, OTHER_CORE, REPOSITORY, Child, answers, running, stand_aside, until
from benchmarks.gateway_load import calls, closed_loop, first_bytes
from benchmarks.options import keep, parser
from benchmarks.report import Benchmark, Figure, Goal
from benchmarks.wrk import require_wrk
from deploy.kafka.broker import free_ports

LITELLM = REPOSITORY / ".venv" / "litellm" / "bin" / "litellm"
DIRECT, OURS, DOWN, PEER = "a direct call", "ours", "ours while the API is down", "LiteLLM's proxy"
_SERVER = ["--log-level", "warning", "--no-access-log", "--loop", "uvloop", "--http", "httptools"]


@dataclass(frozen=True)
class Way:
    """A way to the provider: the port that is called, and the program that is measured there."""

    port: int
    program: Child | None = None


@dataclass
class Found:
    """By way and round: median milliseconds of a call and of a first byte; calls per second and per second of CPU."""

    call_ms: dict[str, list[float]] = field(default_factory=dict)
    first_ms: dict[str, list[float]] = field(default_factory=dict)
    rates: dict[str, list[float]] = field(default_factory=dict)
    per_core: dict[str, list[float]] = field(default_factory=dict)

    def added(self, what: Mapping[str, list[float]], name: str, to: str = DIRECT) -> list[float]:
        """How much later than another way, in each round."""
        return [ours - others for ours, others in zip(what[name], what[to], strict=True)]


def measure(options: Namespace) -> Found:
    found = Found()
    with ExitStack() as stack:
        ways = _ways(stack)
        for number in range(options.rounds):
            for name, way in ways.items():
                calls(way.port, 20)
                found.call_ms.setdefault(name, []).append(median(calls(way.port, options.calls)))
                found.first_ms.setdefault(name, []).append(median(first_bytes(way.port, options.streams)))
                if way.program is None:
                    continue
                before = way.program.cpu_seconds
                rate, total = closed_loop(way.port, options.seconds)
                found.rates.setdefault(name, []).append(rate)
                found.per_core.setdefault(name, []).append(total / (way.program.cpu_seconds - before))
            said = ", ".join(
                f"{name} {found.call_ms[name][-1]:.2f} ms, {found.first_ms[name][-1]:.2f} ms"
                + (f", {found.rates[name][-1]:,.0f}/s" if name in found.rates else "")
                for name in ways
            )
            print(f"round {number + 1}: {said}", flush=True)
    return found


def _ways(stack: ExitStack) -> dict[str, Way]:
    upstream, api, ours, down, peer, nowhere = free_ports(6)
    for name, port in (("provider", upstream), ("api", api)):
        argv = [sys.executable, "-m", "uvicorn", f"benchmarks.gateway_upstream:{name}", "--port", str(port), *_SERVER]
        child = stack.enter_context(running(argv, OTHER_CORE))
        until(lambda port=port: answers(f"http://127.0.0.1:{port}/"), f"the {name} answers", 60, child=child)
    provider = f"http://127.0.0.1:{upstream}"
    ways = {DIRECT: Way(upstream)}
    for name, port, logs in ((OURS, ours, api), (DOWN, down, nowhere)):
        settings = {
            "FEEDBACK_URL": f"http://127.0.0.1:{logs}",
            "FEEDBACK_GATEWAY_UPSTREAM": provider,
            "FEEDBACK_GATEWAY_PORT": str(port),
        }
        child = stack.enter_context(running([sys.executable, "-m", "gateway"], MEASURED_CORE, settings))
        until(lambda port=port: answers(f"http://127.0.0.1:{port}/"), "the gateway answers", 60, child=child)
        ways[name] = Way(port, child)
    if not LITELLM.exists():
        print("LiteLLM is not installed, so there is no peer: make .venv/.litellm", file=sys.stderr)
        return ways
    return ways | {PEER: _litellm(stack, provider, peer, api)}


def _litellm(stack: ExitStack, provider: str, port: int, api: int) -> Way:
    model = {"model": "openai/gpt-4o", "api_key": "sk-measured", "api_base": f"{provider}/v1"}
    config = {
        "model_list": [{"model_name": "gpt-4o", "litellm_params": model}],
        "litellm_settings": {"callbacks": ["generic_api"]},
    }
    file = Path(stack.enter_context(TemporaryDirectory())) / "config.yaml"
    file.write_text(json.dumps(config))
    argv = [str(LITELLM), "--config", str(file), "--port", str(port), "--telemetry", "False"]
    settings = {"GENERIC_LOGGER_ENDPOINT": f"http://127.0.0.1:{api}/v1/logs", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    settings |= {"LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION"}
    # Ours asks for no key either.
    settings |= {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
    child = stack.enter_context(running(argv, MEASURED_CORE, settings))
    until(lambda: answers(f"http://127.0.0.1:{port}/health/liveliness"), "LiteLLM answers", 180, child=child)
    return Way(port, child)


def report(found: Found) -> Benchmark:
    has_peer = PEER in found.rates

    def late(what: Mapping[str, list[float]], which: str, *goals: Goal) -> Figure:
        beside = {PEER: median(found.added(what, PEER))} if has_peer else {}
        return Figure(which, "ms", found.added(what, OURS), goals=goals, beside=beside)

    def rate(what: Mapping[str, list[float]], which: str, *goals: Goal) -> Figure:
        peers = {PEER: median(what[OURS]) / median(what[PEER])} if has_peer else {}
        return Figure(which, "calls/s", what[OURS], of_peer=peers, goals=goals)

    added, first = (median(found.added(what, OURS)) for what in (found.call_ms, found.first_ms))
    worse = median(found.added(found.call_ms, DOWN, OURS))
    told = "; ".join(
        f"{name}: call {median(found.call_ms[name]):.2f} ms, first byte {median(found.first_ms[name]):.2f} ms"
        + (f", {median(found.rates[name]):,.0f} calls/s" if name in found.rates else "")
        for name in found.call_ms
    )
    return Benchmark(
        "gateway",
        "Gateway",
        "make bench-gateway",
        [
            "What a call to a model costs more by way of a gateway than direct, where the provider is a stand-in that"
            " answers at once: chat completions with 700 bytes asked and 800 answered, and streams of 20 events. The"
            " gateway runs on one core; provider, API and load on the other. Each call is logged, by ours and by"
            " LiteLLM's proxy (its generic API callback), to a stand-in for the API that takes everything.",
            "A call's milliseconds are the median of calls one after the other on one connection. Calls per second are"
            " those of 16 connections (`wrk`). Calls per second of CPU are what one core does that it has for itself:"
            " the figure that another load on the machine changes least.",
            f"Medians of the rounds: {told}.",
        ],
        [
            late(found.call_ms, "added to a call", Goal("ms", added, 3, at_least=False)),
            late(found.first_ms, "the first byte of a stream comes later by", Goal("ms", first, 3, at_least=False)),
            Figure(
                "added to a call of ours while the API is down",
                "ms",
                found.added(found.call_ms, DOWN, OURS),
                goals=[Goal("ms", worse, 0.5, at_least=False)],
            ),
            rate(found.rates, "16 connections at once"),
            rate(
                found.per_core,
                "a second of CPU",
                Goal("calls/s a core", median(found.per_core[OURS]), 1_000),
            ),
        ],
        _peer_version() if has_peer else {},
    )


def _peer_version() -> dict[str, str]:
    """The one that is pinned."""
    found = re.search(
        r"^litellm==(\S+)", (REPOSITORY / "benchmarks/litellm_requirements.txt").read_text(), re.MULTILINE
    )
    return {"litellm": found[1]} if found else {}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--calls", type=int, default=300, help="one after the other in a round (default: 300)")
    options.add_argument("--streams", type=int, default=40, help="one after the other in a round (default: 40)")
    options.add_argument("--seconds", type=int, default=4, help="of 16 connections at once (default: 4)")
    given = options.parse_args()
    require_wrk()
    stand_aside()
    keep(given, report(measure(given)))


if __name__ == "__main__":
    main()
