"""Analytics from rollups beside the same numbers from the raw table: `python -m benchmarks.analytics`.

Millions of feedback rows are made inside ClickHouse; what depends on them, rows by the hour and rollups, is made by the
product's own code. Each question is asked of both, and the answers must be equal.
"""

import asyncio
import time
from argparse import Namespace
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import clickhouse_connect

from benchmarks.engines import Engines, engines, until
from benchmarks.options import keep, parser
from benchmarks.report import Benchmark, Figure, Goal
from benchmarks.rollups import roll_up

WORKSPACE = "default"
NUMBERS = "count() AS n, sum(weight) AS w, sum(value * weight) AS vw, sum(weight * value * value) AS vvw"
ROLLED_UP = (
    "sum(feedback_count) AS n, sum(weight_sum) AS w, sum(value_weight_sum) AS vw, sum(weight_value_squared_sum) AS vvw"
)


@dataclass(frozen=True)
class Question:
    """The same numbers asked of the view of all feedback and of the rollups."""

    name: str
    raw: str
    rolled_up: str


def _grouped(name: str, raw_key: str, dimension: str, key: str = "key") -> Question:
    days = f"period = 'day' AND dimension = '{dimension}'"
    return Question(
        name,
        f"SELECT {raw_key} AS k, {NUMBERS} FROM {{source}} WHERE workspace = '{WORKSPACE}' GROUP BY k ORDER BY k",
        f"SELECT {key} AS k, {ROLLED_UP} FROM feedback.rollups WHERE workspace = '{WORKSPACE}' AND {days}"
        " GROUP BY k ORDER BY k",
    )


QUESTIONS = (
    _grouped("by day", "toDate(created_at, 'UTC')", "all", "toDate(start, 'UTC')"),
    _grouped("by model", "arrayJoin(models)::String", "model"),
    _grouped("by organisation", "_organisation", "organisation"),
    _grouped("by prompt", "_prompt", "prompt"),
    Question(
        "distribution of values",
        f"SELECT value::Int64 AS k, count() AS n FROM {{source}} WHERE workspace = '{WORKSPACE}' GROUP BY k ORDER BY k",
        "SELECT pair.1 AS k, pair.2 AS n FROM (SELECT arrayJoin(arrayZip(range(-10, 11), sumForEach(value_counts))) AS"
        f" pair FROM feedback.rollups WHERE workspace = '{WORKSPACE}' AND period = 'day' AND dimension = 'all')"
        " WHERE n > 0 ORDER BY k",
    ),
)
VIEW = "feedback.feedback"
TABLE = "(SELECT * FROM feedback.feedback_rows FINAL SETTINGS do_not_merge_across_partitions_select_final = 1)"


def fill(client: Any, rows: int, days: int, first_day: datetime) -> None:
    """Feedback of thirty days, a day at a time: 3 environments, 400 organisations, 60 prompts, 20,000 users, 12"
    " models."""
    for day in range(days):
        first, count = rows * day // days, rows * (day + 1) // days - rows * day // days
        start_ms = int((first_day + timedelta(days=day)).timestamp() * 1000)
        client.command(
            f"""
            INSERT INTO feedback.feedback_rows
            WITH number + {first} AS n, cityHash64(n) AS h,
                ['production', 'staging', 'development'][1 + (h % 10 >= 7) + (h % 10 = 9)] AS env,
                concat('o', toString(intHash32(n) % 400)) AS org,
                concat('prompt-', toString(bitShiftRight(h, 8) % 60)) AS prompt,
                concat('u', toString(bitShiftRight(h, 16) % 20000)) AS user,
                concat('model-', toString(bitShiftRight(h, 32) % 12)) AS m,
                fromUnixTimestamp64Milli(toInt64({start_ms} + intDiv(number * 86400000, {count})), 'UTC') AS at
            SELECT '{WORKSPACE}', reinterpretAsUUID(concat(reinterpretAsString(h), reinterpretAsString(n))),
                concat('trace-', toString(n)), toInt8(bitShiftRight(h, 40) % 21) - 10,
                toDecimal64(1 + bitShiftRight(h, 48) % 100, 9) / 100, at, at, 'joined',
                bitShiftRight(h, 56) % 10 = 0 ? arraySort(arrayDistinct([m, 'model-0'])) : [m], ['openai'],
                user, org, prompt, env, '{{"text": "title was irrelevant"}}', user, org, prompt, env,
                (n + 1) * 65536 + 1, 0
            FROM numbers({count})
            """,
            settings={"max_partitions_per_insert_block": 0, "max_insert_threads": 2},
        )


def no_merges(found: Engines) -> None:
    client: Any = clickhouse_connect.get_client(dsn=found.clickhouse)
    until(lambda: not int(client.command("SELECT count() FROM system.merges")), "merges are done", pause=0.5)


def ask(client: Any, statement: str) -> tuple[float, list[Any]]:
    """Milliseconds until the answer is here, and the answer."""
    began = time.perf_counter()
    rows = client.query(statement).result_rows
    return (time.perf_counter() - began) * 1000, list(rows)


def measure(options: Namespace, found: Engines) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of each question asked of the view, of the table, and of the rollups."""
    client: Any = clickhouse_connect.get_client(dsn=found.clickhouse, send_receive_timeout=600)
    took: dict[str, dict[str, list[float]]] = {}
    for question in QUESTIONS:
        sources = {
            "view": question.raw.format(source=VIEW),
            "table": question.raw.format(source=TABLE),
            "rollups": question.rolled_up,
        }
        rounds: dict[str, list[float]] = {name: [] for name in sources}
        for n in range(options.rounds + 1):
            answers = {}
            for name, statement in sources.items():
                if name == "view" and n > 1:
                    continue  # it does what the table does; once is enough
                ms, answers[name] = ask(client, statement)
                if n:  # the first round warms up
                    rounds[name].append(ms)
            if any(answer != answers["rollups"] for answer in answers.values()):
                raise RuntimeError(f"{question.name}: rollups and raw rows do not agree: {answers}")
        took[question.name] = rounds
        print(question.name, {name: round(median(ms), 1) for name, ms in rounds.items()}, flush=True)
    return took


def report(options: Namespace, took: dict[str, dict[str, list[float]]], made: dict[str, float]) -> Benchmark:
    figures = []
    for name, rounds in took.items():
        view, table = (median(rounds[source]) / median(rounds["rollups"]) for source in ("view", "table"))
        figures += [
            Figure(f"{name}, rollups", "ms", rounds["rollups"], None,
                   {"sooner than the table": table, "sooner than the view": view},
                   [Goal("× sooner than the raw table", table, 20)]),
            Figure(f"{name}, raw table", "ms", rounds["table"]),
        ]  # fmt: skip
    return Benchmark(
        "analytics",
        "Analytics",
        "make bench-analytics",
        [
            "The same numbers (count, Σ weight, Σ value × weight, Σ weight × value²; for the distribution the count"
            " of each value)"
            f" of {options.rows:,} feedbacks of {options.days} days: 3 environments, 400 organisations, 60 prompts,"
            " 20,000"
            " users, 12 models."
            " Asked of `feedback.rollups`, of `feedback_rows FINAL` with partitions taken one by one (its fastest"
            " exact form), and"
            " of the view `feedback.feedback`. The three answers are compared in every round and must be equal.",
            f"The rollups were computed by the product's own code: {made['hours']:,.0f} hours and {options.days}"
            " days in"
            f" {made['seconds']:,.0f} s, into {made['rows']:,.0f} rows.",
        ],
        figures,
    )


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rows", type=int, default=20_000_000, help="feedback rows")
    options.add_argument("--days", type=int, default=30, help="days over which they are spread")
    given = options.parse_args()
    with engines(pinned=False) as found:
        client: Any = clickhouse_connect.get_client(dsn=found.clickhouse, send_receive_timeout=600)
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        began = time.perf_counter()
        fill(client, given.rows, given.days, today - timedelta(days=given.days))
        print(f"rows made in {time.perf_counter() - began:.0f} s", flush=True)
        began = time.perf_counter()
        hours = asyncio.run(roll_up(found.clickhouse))
        seconds = time.perf_counter() - began
        rolled_up = int(client.command("SELECT count() FROM feedback.rollups"))
        print(f"{hours} hours rolled up in {seconds:.0f} s into {rolled_up} rows", flush=True)
        no_merges(found)
        made = {"hours": hours, "seconds": seconds, "rows": rolled_up}
        keep(given, report(given, measure(given, found), made))


if __name__ == "__main__":
    main()
