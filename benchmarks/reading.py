"""Every reading endpoint, and the pages, over a month of ten million requests: `python -m benchmarks.reading`.

A question goes through the HTTP API, as users ask, in a process of its own over the embedded ClickHouse. *Cold* is the
first question after ClickHouse was started with none of its files in memory; *warm* are later ones, each with other
values. The floor is the best statement that we can write by hand for that answer. Pages are looked at in Chromium. What
the tables cost whoever writes them is measured on empty ones: ClickHouse's CPU for batches as a worker stores them.
"""

import asyncio
import json
import signal
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks.options import keep, parser
from benchmarks.reading_cost import EVENTS_PER_BATCH, Cost, costs, disk_of, no_merges
from benchmarks.reading_data import fill
from benchmarks.reading_pages import MOST_CHANGE_MS, MOST_PAINT_MS, PageTimes, chromium, page_times
from benchmarks.reading_questions import Asking, Question
from benchmarks.reading_server import Server, server
from benchmarks.reading_values import Case
from benchmarks.report import Benchmark, Figure, Goal
from benchmarks.rollups import roll_up
from operations.migrate import migrate

FULL_SIZE = 10_000_000
FEWEST_WITH_ANSWERS = 100_000
"""From this size on every question must find something."""


@dataclass
class Times:
    """Milliseconds of one question: through the API, and of its floor."""

    question: Question
    fresh: Case
    """One that has not been asked yet."""
    warm: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    cold: float = 0.0


@dataclass(frozen=True)
class Size:
    """What was found at one size."""

    times: Mapping[str, Times]
    disk_bytes: int
    pages: Mapping[str, PageTimes]
    """Empty where there is no browser."""


def load(found: Server, requests: int, days: int, now: datetime) -> Asking:
    """Make the month, or continue the one that is there, and roll it up; returns when parts are at rest."""
    began = time.perf_counter()
    migrate(found.clickhouse)
    client = found.client()
    month = fill(client, requests, days, now)
    no_merges(client)
    print(f"{requests:,} requests stored after {time.perf_counter() - began:.0f} s", flush=True)
    asyncio.run(roll_up(found.clickhouse))
    no_merges(client)
    print(f"rolled up after {time.perf_counter() - began:.0f} s", flush=True)
    return Asking(client, month, now)


def warm(found: Server, questions: list[Question], rounds: int, *, strict: bool) -> dict[str, Times]:
    """Each question and its floor in turn, so that both see the same machine. The first of each warms up, and what the
    API computes after it, to be kept, is waited for."""
    client, took = found.client(), {}
    for question in questions:
        times = took[question.name] = Times(question, question.make())
        said = 0
        for n in range(rounds + 1):
            case = question.make()
            asked, says = found.ask(case)
            said += says
            began = time.perf_counter()
            client.query(case.floor)
            if n:
                times.warm.append(asked)
                times.floor.append((time.perf_counter() - began) * 1000)
            else:
                found.until_at_rest()
        if not said and strict:
            raise RuntimeError(f"{question.name}: no answer says anything, such as {times.fresh.path}")
        print(f"{question.name}: {median(times.warm):.0f} ms, floor {median(times.floor):.0f} ms", flush=True)
    return took


def cold(found: Server, took: Mapping[str, Times]) -> None:
    """Each question once, ClickHouse started anew before it."""
    for name, times in took.items():
        found.drop_file_cache()
        with found.engine():
            times.cold, _ = found.ask(times.fresh)
        print(f"{name}: cold {times.cold:.0f} ms", flush=True)


def at_size(folder: Path, requests: int, options: Namespace, *, ask_cold: bool) -> Size:
    """All questions at one size."""
    with server(folder) as found, ExitStack() as stack:
        with found.engine():
            questions = load(found, requests, options.days, datetime.now(UTC)).questions()
            stack.enter_context(found.api())
            chosen = [each for each in questions if options.only in each.name]
            took = warm(found, chosen, options.rounds, strict=requests >= FEWEST_WITH_ANSWERS)
            disk = disk_of(found.client())
            pages = page_times(found.url, options.rounds) if chromium() and not options.only else {}
        if ask_cold:
            cold(found, took)
        return Size(took, disk, pages)


def what_it_costs(batches: int) -> dict[str, Cost]:
    """Of a request and of a feedback."""
    with (
        tempfile.TemporaryDirectory() as folder,
        server(Path(folder) / "clickhouse") as found,
        found.engine() as engine,
    ):
        migrate(found.clickhouse)
        return costs(engine, found.client(), found.clickhouse, batches)


def report(
    options: Namespace, large: Size, small: Size | None, cost: Mapping[str, Cost], before: Mapping[str, float]
) -> Benchmark:
    figures = []
    for name, times in large.times.items():
        ms, goals = median(times.warm), []
        beside = {"floor": median(times.floor)} | ({"cold": times.cold} if times.cold else {})
        if options.requests == FULL_SIZE and times.question.goal_ms:
            goals = [Goal("ms", ms, times.question.goal_ms, at_least=False)]
        if small:
            beside[f"of {options.small:,}"] = before_growth = median(small.times[name].warm)
            if options.requests == 10 * options.small == FULL_SIZE:
                goals += [Goal("× for ten times as much", ms / before_growth, times.question.most_growth, False)]
        figures.append(Figure(name, "ms", times.warm, goals=goals, beside=beside))
    for path, seen in large.pages.items():
        for what, measured, bound in (
            ("first useful paint", seen.paint, MOST_PAINT_MS),
            ("change of a filter", seen.change, MOST_CHANGE_MS),
        ):
            goals = [Goal("ms", median(measured), bound, at_least=False)] if options.requests == FULL_SIZE else []
            figures.append(Figure(f"page {path}: {what}", "ms", measured, goals=goals))
    for name, each in cost.items():
        figures += [
            Figure(f"ClickHouse's CPU for a stored {name}", "µs", [each.cpu_us]),
            Figure(f"disk for a stored {name}", "bytes", [each.disk_bytes]),
        ]
    if before:
        figures = [
            replace(each, beside={"before": before[each.what], **each.beside}) if each.what in before else each
            for each in figures
        ]
    return Benchmark("reading", "Reading", "make bench-reading", _notes(options, large, small), figures)


def _notes(options: Namespace, large: Size, small: Size | None) -> list[str]:
    return [
        f"A month that ends now: {options.requests:,} requests with bodies and half as many feedbacks, three"
        " environments, 400 organisations, 20,000 users, 60 prompts, six models, metadata with five keys beside the"
        " special fields; half of the traces have feedback, of which 8 in 100 were edited, one deleted, two came before"
        " their request, and one trace in 200 never had one. Stored in stretches that get shorter towards the end, and"
        " merged by ClickHouse alone. Milliseconds of whole calls of the HTTP API, the median of warm ones, each with"
        " values of its own; *cold* is the first after ClickHouse was started with none of its files in memory; *floor*"
        " is the best statement that we can write by hand for that answer and these tables, without what makes it"
        " exact. Pages are those of the last seven days in a Chromium on the same machine, which has been there before."
        f" {f'Beside them the same with {options.small:,} requests.' if small else ''}",
        f"The tables take {large.disk_bytes / 1e9:.2f} GB."
        f" What they cost whoever writes them: {options.batches} consumer batches of {EVENTS_PER_BATCH:,} requests and"
        " as many of their feedback, as a worker stores them, into empty tables, with the merges that follow.",
    ]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--requests", type=int, default=FULL_SIZE, help="requests of the month")
    options.add_argument(
        "--small", type=int, default=FULL_SIZE // 10, help="the same with so many, for the growth; 0: not"
    )
    options.add_argument("--days", type=int, default=30, help="days of the month")
    options.add_argument("--batches", type=int, default=40, help="consumer batches whose cost is measured")
    options.add_argument("--data", type=Path, help="keep the months in this folder, and continue what is there")
    options.add_argument("--before", type=Path, help="an earlier reading.json, to be shown beside")
    options.add_argument("--only", default="", help="only questions whose names hold this")
    options.add_argument("--not-cold", action="store_true", help="ask nothing after a new start")
    given = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that no child outlives this process
    with tempfile.TemporaryDirectory() as folder:
        data = given.data or Path(folder)
        cost = what_it_costs(given.batches)
        small = at_size(data / str(given.small), given.small, given, ask_cold=False) if given.small else None
        large = at_size(data / str(given.requests), given.requests, given, ask_cold=not given.not_cold)
    figures = json.loads(given.before.read_text())["figures"] if given.before else []
    keep(given, report(given, large, small, cost, {each["what"]: each["median"] for each in figures}))


if __name__ == "__main__":
    main()
