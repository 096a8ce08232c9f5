"""The queries of docs/sql.md, as they stand there, against what plain Python makes of the same data.

The queries run unchanged: a setting of ClickHouse keeps the views to this test's traces, since the engines are shared
with other tests. Every column of every row is compared; only what is a float in ClickHouse is compared as one.
"""

import json
import re
import uuid
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from math import sqrt
from typing import Any

import pytest

from tests.pipeline.engines import REPOSITORY, until
from tests.pipeline.running import Pipeline
from tests.pipeline.sql_data import SPECIALS, DataSet, Given, grouped, invented, narrowed, send, total

DOCUMENT, FROM_ROLLUPS = (REPOSITORY / "docs/sql.md").read_text().split("\n## Hours and days\n")
QUERIES = dict(re.findall(r"^### (.+\?)\n\n.+\n\n```sql\n((?:.+\n)+)```$", DOCUMENT, re.MULTILINE))
Row = dict[str, Any]


def own_traces_only(tag: str, query: str) -> str:
    """The query over this test's traces and nothing else."""
    return narrowed(query, f"startsWith(trace_id, '{tag}-')")


def shows(pipeline: Pipeline, data: DataSet) -> bool:
    """Whether the views have all that was sent, in its last form."""

    def rows(query: str) -> set[tuple[Any, ...]]:
        return set(map(tuple, pipeline.sql_client.query(own_traces_only(data.tag, query)).result_rows))

    sums = {trace: (len(group), total(group)) for trace, group in data.by_trace().items()}
    feedback = {
        (each.id, each.value, each.weight, str(data.models(each)).replace(", ", ","), *data.in_force(each))
        for each in data.given
    }
    aggregates = {
        (trace, *sums.get(trace, (0, Decimal(0))), len(data.requests_of(trace))) for trace in data.traces_ever
    }
    specials = ", ".join(SPECIALS)
    return (
        rows(f"SELECT feedback_id, value, weight, toString(models), {specials} FROM feedback.feedback") == feedback
        and rows("SELECT trace_id, feedback_count, value_weight_sum, requests FROM feedback.trace_aggregates")
        == aggregates
        and rows("SELECT count() FROM feedback.request_logs") == {(len(data.served),)}
    )


@pytest.fixture(scope="module")
def data(pipeline: Pipeline) -> DataSet:
    sent = invented(f"sql-{uuid.uuid4().hex[:12]}")
    pipeline.feedback(f"not-{sent.tag}", -10, _user="u0", _organisation="o0", _prompt="p0", channel="chat")
    send(pipeline, sent)
    until(lambda: shows(pipeline, sent), "the views show all that was sent")
    return sent


def quotient(dividend: Decimal, divisor: Decimal | int, places: int = 9) -> Decimal | None:
    return (dividend / divisor).quantize(Decimal(1).scaleb(-places), ROUND_DOWN) if divisor else None


def weighted_mean(group: list[Given]) -> Decimal | None:
    return quotient(total(group), sum((each.weight for each in group), Decimal(0)))


def means(group: list[Given]) -> Row:
    return {"mean_value_weight": quotient(total(group), len(group)), "weighted_mean": weighted_mean(group)}


def last_when_null(value: Any) -> tuple[bool, Any]:
    return (value is None, value or 0)


def day_by_day(data: DataSet) -> list[Row]:
    days = grouped((each.at.date(), each) for each in data.last(30))
    return [{"day": day, "feedback_count": len(group), **means(group)} for day, group in days.items()]


def models(data: DataSet) -> list[Row]:
    groups = grouped((model, each) for each in data.last(30) for model in data.models(each))
    rows = [{"model": model, "feedback_count": len(group), **means(group)} for model, group in groups.items()]
    return sorted(rows, key=lambda row: last_when_null(row["weighted_mean"] and -row["weighted_mean"]))


def thumbs(data: DataSet) -> list[Row]:
    rows = []
    for prompt, group in data.by("_prompt").items():
        up, down = (sum(each.value * sign > 0 for each in group) for sign in (1, -1))
        row = {"_prompt": prompt, "feedback_count": len(group), "up": up, "zero": len(group) - up - down, "down": down}
        rows.append(row | {"up_percent": quotient(Decimal(100 * up), len(group), 2)})
    return sorted(rows, key=lambda row: row["up_percent"])


def weeks(data: DataSet) -> list[Row]:
    rows, week = [], {each.id for each in data.last(7)}
    for organisation, group in data.by("_organisation", 14).items():
        this = [each for each in group if each.id in week]
        before = [each for each in group if each.id not in week]
        now, then = weighted_mean(this), weighted_mean(before)
        row: Row = {"_organisation": organisation, "feedback_count": len(this), "feedback_count_before": len(before)}
        change = None if now is None or then is None else now - then
        rows.append(row | {"weighted_mean": now, "weighted_mean_before": then, "change": change})
    return sorted(rows, key=lambda row: last_when_null(row["change"]))


def unhappy(data: DataSet) -> list[Row]:
    rows = [
        {
            "_user": user,
            "feedback_count": len(group),
            "weighted_mean": weighted_mean(group),
            "lowest_value": min(each.value for each in group),
            "last_feedback_at": max(each.at for each in group),
        }
        for user, group in data.by("_user").items()
        if len(group) >= 3 and total(group) < 0
    ]
    return sorted(rows, key=lambda row: row["weighted_mean"])


def disagreement(data: DataSet) -> list[Row]:
    rows = []
    for trace, group in data.by_trace().items():
        if len(group) < 2:
            continue
        low, high = min(each.value for each in group), max(each.value for each in group)
        weight, mean = sum(each.weight for each in group), weighted_mean(group)
        row: Row = {"workspace": "default", "trace_id": trace, "feedback_count": len(group)}
        row |= {"value_min": low, "value_max": high, "spread": high - low, "weighted_mean": None}
        row["standard_deviation"] = None
        if mean is not None:
            exact = total(group) / weight
            variance = sum(each.weight * (each.value - exact) ** 2 for each in group) / weight
            row["weighted_mean"] = pytest.approx(float(exact), rel=1e-12)
            row["standard_deviation"] = pytest.approx(sqrt(variance), rel=1e-12, abs=1e-12)
        rows.append(row)
    return sorted(rows, key=lambda row: (-row["spread"], -row["feedback_count"]))[:50]


def pending(data: DataSet) -> list[Row]:
    names = ((30, "over 30 days"), (7, "over 7 days"), (1, "over a day"), (1 / 24, "over an hour"))
    groups: dict[str, list[Given]] = defaultdict(list)
    for each in data.given:
        old = [name for days, name in names if data.now - each.at > timedelta(days=days)]
        if old and not data.requests_of(each.trace):
            groups[old[0]].append(each)
    rows = [
        {
            "age": age,
            "feedback_count": len(group),
            "traces": len({each.trace for each in group}),
            "oldest_at": min(each.at for each in group),
            "oldest_trace_id": min((each.at, each.trace) for each in group)[1],
        }
        for age, group in groups.items()
    ]
    return sorted(rows, key=lambda row: row["oldest_at"], reverse=True)


def latency(data: DataSet) -> list[Row]:
    groups = grouped(
        (data.special(each, "_environment"), (each.at - served[0].at) // timedelta(milliseconds=1))
        for each in data.last(30)
        if (served := data.requests_of(each.trace))
    )
    rows = []
    for environment, waits in groups.items():
        seconds = [Decimal(wait) / 1000 for wait in sorted(waits)]
        row: Row = {"_environment": environment, "feedback_count": len(seconds)}
        row |= {"median_seconds": seconds[len(seconds) // 2], "p90_seconds": seconds[len(seconds) * 9 // 10]}
        rows.append(row | {"longest_seconds": seconds[-1]})
    return rows


def cost(data: DataSet) -> list[Row]:
    judged = data.by_trace()

    def verdict(trace: str) -> str:
        group = judged.get(trace, [])
        score = total(group)
        return "good" if score > 0 else "bad" if score < 0 else "neutral" if group else "no feedback"

    recent = [each for each in data.served if each.at >= data.now - timedelta(days=7)]
    rows = []
    for name, group in grouped((verdict(each.trace), each) for each in recent).items():
        costs = [each.cost for each in group if each.cost is not None]
        tokens = [each.tokens for each in group if each.tokens is not None]
        row: Row = {"verdict": name, "requests": len(group), "traces": len({each.trace for each in group})}
        row |= {
            "cost_in_cents": pytest.approx(sum(costs)),
            "mean_cost_in_cents": pytest.approx(sum(costs) / len(costs)),
        }
        rows.append(row | {"mean_tokens": pytest.approx(sum(tokens) / len(tokens))})
    return rows


def channels(data: DataSet) -> list[Row]:
    said = [(each.metadata["channel"], each) for each in data.last(30) if "channel" in each.metadata]
    # ClickHouse gives text as it is, null as nothing, and anything else as its JSON.
    texts = grouped((c if isinstance(c, str) else json.dumps(c) if c else "", each) for c, each in said)
    rows = []
    for text, group in texts.items():
        users = {data.special(each, "_user") for each in group} - {""}
        rows.append({"channel": text, "feedback_count": len(group), "users": len(users), **means(group)})
    return sorted(rows, key=lambda row: -row["feedback_count"])


EXPECTED: dict[str, Callable[[DataSet], list[Row]]] = {
    "How does feedback go, day by day?": day_by_day,
    "Which models do best, and which worst?": models,
    "What share of each prompt's feedback is thumbs up?": thumbs,
    "How was each organisation's week against the week before?": weeks,
    "Which users are unhappy?": unhappy,
    "On which traces do people disagree most?": disagreement,
    "Which feedback still waits for its request?": pending,
    "How long after the request does feedback come?": latency,
    "What do good and bad answers cost, and how many has nobody judged?": cost,
    "How does feedback differ by a metadata key of our own?": channels,
}


def test_the_document_has_ten_queries_each_under_the_question_it_answers() -> None:
    assert len(QUERIES) == 10
    assert DOCUMENT.count("```sql") == 10
    assert list(QUERIES) == list(EXPECTED)


@pytest.mark.parametrize("question", EXPECTED)
def test_a_query_of_the_document_answers_its_question(pipeline: Pipeline, data: DataSet, question: str) -> None:
    answer = pipeline.sql_client.query(own_traces_only(data.tag, QUERIES[question]), query_tz="UTC")
    expected = EXPECTED[question](data)
    assert len(expected) > 1, "the data set does not try this query"
    assert list(answer.column_names) == list(expected[0])
    assert [in_utc(row) for row in answer.named_results()] == expected


def in_utc(row: Row) -> Row:
    return {name: each.replace(tzinfo=UTC) if isinstance(each, datetime) else each for name, each in row.items()}


def test_the_data_set_has_the_cases_in_which_a_query_could_go_wrong(data: DataSet) -> None:
    for rows, column in ((models(data), "weighted_mean"), (channels(data), "weighted_mean"), (weeks(data), "change")):
        assert any(row[column] is None for row in rows)
        assert any(row[column] is not None for row in rows)
    assert any(row["weighted_mean"] is None for row in day_by_day(data))
    assert {"u-three", "u-two"} & {row["_user"] for row in unhappy(data)} == {"u-three"}
    assert any(row["standard_deviation"] is None for row in disagreement(data))
    assert {row["verdict"] for row in cost(data)} == {"good", "bad", "neutral", "no feedback"}
    assert len(pending(data)) == 4


def test_a_time_range_reads_only_the_months_it_touches(pipeline: Pipeline, data: DataSet) -> None:
    def parts(condition: str) -> int:
        plan = pipeline.sql_client.query(
            f"EXPLAIN indexes = 1 SELECT count() FROM feedback.feedback WHERE {condition}"
        ).result_rows
        return int(next(line.split("Parts:")[1].split("|")[0] for (line,) in plan if "Parts:" in line))

    assert parts("created_at >= now('UTC') - INTERVAL 7 DAY") < parts("1")
