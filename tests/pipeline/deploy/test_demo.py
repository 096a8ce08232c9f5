"""The demo shows what was made of its seed, and is gone as if it had never been, with the books right."""

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from deploy import cli
from deploy.demo import week as weeks
from deploy.demo.calls import ApiCall
from deploy.demo.trace_ids import sql_is_demo, trace_id_of
from operations.connections import CommandError
from operations.consumer_groups import require_members
from tests.conftest import Pipelines
from tests.pipeline.engines import until
from tests.pipeline.operations.test_erase import address, mentions
from tests.pipeline.operations.test_expire import books_are_right
from tests.pipeline.running import Pipeline
from tests.pipeline.stream_workers.test_pipeline import a_trace

SEED, REQUESTS = 7, 24
IN_DEMO = sql_is_demo("trace_id")


@pytest.fixture(scope="module")
def pipeline(pipelines: Pipelines) -> Pipeline:
    """On one engine: what a demo does with Kafka and ClickHouse, erasures do on all."""
    return pipelines("embedded")


@pytest.fixture
def made_weeks(monkeypatch: pytest.MonkeyPatch) -> list[list[ApiCall]]:
    """The weeks that commands have made, as they were made."""
    found: list[list[ApiCall]] = []
    make = weeks.week

    def noting(*given: Any) -> list[ApiCall]:
        found.append(make(*given))
        return found[-1]

    monkeypatch.setattr(weeks, "week", noting)
    return found


def rolls_up(pipeline: Pipeline) -> bool:
    try:
        require_members(pipeline.engines.kafka, "feedback-rollups")
    except CommandError:
        return False
    return True


def final_feedback(calls: list[ApiCall]) -> dict[int, dict[str, Any]]:
    """Feedback as it stands after all calls, by a reading of them that is not the product's."""
    found: dict[int, dict[str, Any]] = {}
    for call in calls:
        if call.kind in ("create", "update"):
            found[call.feedback] = {**found.get(call.feedback, {}), **call.body}
        elif call.kind == "delete":
            del found[call.feedback]
    return found


def state_of(calls: list[ApiCall]) -> Callable[[int], str]:
    """The join state that each feedback must have."""
    logged = {call.body["trace_id"] for call in calls if call.kind == "log"}
    created = {call.feedback: call for call in calls if call.kind == "create"}

    def state(number: int) -> str:
        if created[number].body["trace_id"] in logged:
            return "joined"
        return "orphaned" if created[number].at < datetime.now(UTC) - timedelta(days=7) else "pending"

    return state


def by_organisation(calls: list[ApiCall]) -> dict[str, list[tuple[int, float]]]:
    of_trace = {c.body["trace_id"]: c.body["metadata"]["_organisation"] for c in calls if c.kind == "log"}
    found = defaultdict(list)
    for each in final_feedback(calls).values():
        organisation = each["metadata"].get("_organisation") or of_trace[each["trace_id"]]
        found[organisation].append((each["value"], each["weight"]))
    return found


class Asked:
    """What the API says of all feedback and requests in the days that a demo has."""

    def __init__(self, pipeline: Pipeline, calls: list[ApiCall]) -> None:
        self._url = pipeline.url
        hour = timedelta(hours=1)
        first, end = calls[0].at - hour, datetime.now(UTC) + hour
        self._range = {"time_of_generation_min": first.isoformat(), "time_of_generation_max": end.isoformat()}

    def get(self, path: str, **parameters: Any) -> Any:
        reply = requests.get(f"{self._url}/v1/{path}", {**self._range, **parameters}, timeout=30)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def summary(self, organisation: str) -> tuple[int, float | None]:
        found = self.get("analytics/graphs/feedbacks/weighted", organisation=organisation)["summary"]
        return found["n"], found["avg"]

    def everything(self) -> dict[str, Any]:
        scores = self.get("analytics/graphs/feedbacks/scores")["data_points"]
        groups = self.get("analytics/groups/metadata/_organisation", page_size=100)["data"]
        return {
            "scores": {each["score"]: each["total"] for each in scores if each["total"]},
            "organisations": {each["metadata_value"]: each["requests"] for each in groups},
        }


def test_a_demo_shows_its_week_and_is_removed_whole(
    pipeline: Pipeline, made_weeks: list[list[ApiCall]], capsys: pytest.CaptureFixture[str]
) -> None:
    fill = ["demo", "--seed", str(SEED), "--requests", str(REQUESTS), *address(pipeline)]
    remove = ["demo", "--remove", *address(pipeline)]
    mine = trace_id_of(SEED, 1)[:-1]  # of an app that calls its traces nearly so
    with pipeline.rollup():
        kept = pipeline.feedback(mine, 4, 0.5, _organisation="org-01", text=trace_id_of(SEED, 1))
        pipeline.request(mine, "model-mine", _organisation="org-01")
        until(lambda: pipeline.stored(kept).get("join_state") == "joined", "what is not of the demo is there")
        until(lambda: rolls_up(pipeline), "hours and days are kept")

        capsys.readouterr()
        assert cli.main(fill) == 0, capsys.readouterr()
        (calls,) = made_weeks
        told = capsys.readouterr().out
        assert f"{REQUESTS} requests and {sum(c.kind == 'create' for c in calls)} feedbacks" in told
        asked = Asked(pipeline, calls)
        expected = by_organisation(calls)
        expected["org-01"].append((4, 0.5))
        for organisation, ratings in expected.items():
            n, avg = asked.summary(organisation)
            assert n == len(ratings)
            assert avg == pytest.approx(sum(value * weight for value, weight in ratings) / n)
        shown = asked.everything()
        for organisation in expected:
            logged = sum(c.kind == "log" and c.body["metadata"]["_organisation"] == organisation for c in calls)
            assert shown["organisations"].get(organisation, 0) == logged + (organisation == "org-01")
        states = pipeline.sql(
            f"SELECT join_state, count() AS n FROM feedback.feedback WHERE {IN_DEMO} GROUP BY join_state"
        )
        assert {row["join_state"]: row["n"] for row in states} == Counter(map(state_of(calls), final_feedback(calls)))

        assert cli.main(fill) == 1
        assert "There is a demo in the workspace 'default' already" in capsys.readouterr().err
        assert asked.everything() == shown, "a second one changes nothing"

        assert cli.main([*remove, "--seed", str(SEED + 1)]) == 1
        assert "whatever its --seed and --requests: leave them out" in capsys.readouterr().err
        assert asked.everything() == shown, "nothing is removed"

        added = pipeline.feedback(next(c.body["trace_id"] for c in calls if c.kind == "log"), -10, text="mine")
        until(lambda: pipeline.stored(added) != {}, "somebody else rates a trace of the demo")
        assert cli.main(remove) == 0, capsys.readouterr()
        told = capsys.readouterr().out
        assert "The demo is gone" in told
        for table in ("feedback_rows", "request_log_rows", "trace_aggregate_rows"):
            assert pipeline.count(f"SELECT count() FROM feedback.{table} WHERE {IN_DEMO}") == 0
        assert mentions(pipeline, f"demo-{SEED}-") == mentions(pipeline, mine), "only what is not of the demo is left"
        assert pipeline.stored(added) == {}
        for organisation in expected:
            assert asked.summary(organisation) == ((1, 2.0) if organisation == "org-01" else (0, None))
        assert pipeline.stored(kept)["models"] == ["model-mine"]
        aggregates = pipeline.topic("trace.aggregates.v1")
        demo_traces = {f"default/{c.body['trace_id']}" for c in calls if c.kind == "create"}
        assert [key for key in demo_traces if aggregates[key] is not None] == []
        books_are_right(pipeline, capsys)
        assert cli.main(remove) == 0
        assert "There is no demo in the workspace 'default'" in capsys.readouterr().out


def test_traces_of_the_demo_are_told_from_others_alike_in_python_and_in_sql(pipeline: Pipeline) -> None:
    good = [trace_id_of(seed, number) for seed in (0, 1, 2**31) for number in range(300)]
    bad = [
        "",
        "demo",
        "demo-",
        "demo-1",
        "demo-12345678",
        "demo--00000000",
        f"{good[0]}0",
        *(each[:-1] for each in good),
    ]
    query = f"SELECT arrayMap(t -> {sql_is_demo('t')}, {{t:Array(String)}}) AS are"
    (found,) = pipeline.sql(query, t=[*good, *bad])
    assert found["are"] == [1] * len(good) + [0] * len(bad)


def test_a_workspace_that_is_none_is_not_filled(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--workspace", a_trace(), *address(pipeline)]) == 1
    assert "There is no workspace" in capsys.readouterr().err
