"""The demo's week: the same for the same seed, valid to the edge, and with all in it that it promises to show."""

from argparse import Namespace
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean
from typing import Any

import msgspec
import pytest

from dashboard import feedback_forms
from deploy.demo import command, ratings
from deploy.demo.app import ENVIRONMENTS, MODELS
from deploy.demo.calls import ApiCall
from deploy.demo.events import records_of
from deploy.demo.languages import LANGUAGES
from deploy.demo.schedule import Schedule
from deploy.demo.trace_ids import is_demo, trace_id_of
from deploy.demo.week import week
from ingest_api.settings import Settings
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS
from stream_workers.join.decode import decode_event

END = datetime(2026, 3, 12, 16, 20, tzinfo=UTC)
REQUESTS = 6000


@pytest.fixture(scope="module")
def calls() -> list[ApiCall]:
    return week(1, REQUESTS, END)


@pytest.fixture(scope="module")
def requests(calls: list[ApiCall]) -> list[ApiCall]:
    return [call for call in calls if call.kind == "log"]


@pytest.fixture(scope="module")
def created(calls: list[ApiCall]) -> list[ApiCall]:
    return [call for call in calls if call.kind == "create"]


@pytest.fixture(scope="module")
def of_trace(requests: list[ApiCall]) -> dict[str, list[ApiCall]]:
    found = defaultdict(list)
    for call in requests:
        found[call.body["trace_id"]].append(call)
    return found


def metadata_of(call: ApiCall) -> Any:
    return call.body["metadata"]


def began(call: ApiCall) -> datetime:
    return datetime.fromisoformat(call.body["start_time"])


def answers(requests: list[ApiCall]) -> list[ApiCall]:
    return [call for call in requests if call.body["span_name"] == "answer"]


def test_a_seed_gives_the_same_week_and_another_another() -> None:
    assert week(1, 500, END) == week(1, 500, END) != week(2, 500, END)


@pytest.mark.parametrize("end", [END, datetime(2026, 3, 1, 0, 0, tzinfo=UTC), datetime(2026, 12, 27, 3, tzinfo=UTC)])
def test_it_has_as_many_requests_as_asked_for_and_none_after_its_end(end: datetime) -> None:
    made = week(3, 500, end)
    assert sum(call.kind == "log" for call in made) == 500
    assert [call.at for call in made] == sorted(call.at for call in made)
    assert made[-1].at < end
    assert min(began(call) for call in made if call.kind == "log") >= end - timedelta(days=7)


def test_the_edge_takes_every_call_and_workers_every_event(calls: list[ApiCall]) -> None:
    records = records_of(calls, "default", Settings().limits)
    assert Counter(record.topic for record in records) == {
        REQUEST_LOGS: REQUESTS,
        FEEDBACK_EVENTS: len(calls) - REQUESTS,
    }
    events = [decode_event(record.topic, record.value) for record in records]
    assert [round(event.at.timestamp(), 3) for event in events] == [int(c.at.timestamp() * 1000) / 1000 for c in calls]
    known = set()
    for call, event in zip(calls, events, strict=True):
        if call.kind == "create":
            known.add(event.feedback_id)
            assert msgspec.json.decode(event.metadata) == metadata_of(call)
        elif call.kind != "log":
            assert event.feedback_id in known, "a change comes after its create"


def test_days_are_busier_than_nights_and_working_days_than_weekends(requests: list[ApiCall]) -> None:
    by_day = Counter(began(call).date() for call in requests)
    whole = [(END - timedelta(days=back)).date() for back in range(1, 7)]
    weekend, working = ([by_day[day] for day in whole if (day.weekday() >= 5) is is_free] for is_free in (True, False))
    assert max(weekend) < 0.6 * min(working)
    by_hour = Counter(began(call).hour for call in requests)
    assert sum(by_hour[hour] for hour in (9, 10, 11, 12)) > 2 * sum(by_hour[hour] for hour in (20, 21, 22, 23))


def test_models_differ_in_quality_speed_and_cost(
    requests: list[ApiCall], created: list[ApiCall], of_trace: dict[str, list[ApiCall]]
) -> None:
    def of_model(name: str) -> tuple[float, float, float]:
        its = [c.body for c in answers(requests) if c.body["request"]["body"]["model"] == name]
        values = [c.body["value"] for c in created if model_of(of_trace.get(c.body["trace_id"], [])) == name]
        return mean(values), mean(b["response"]["response_time"] for b in its), mean(b["cost"] for b in its)

    def model_of(spans: list[ApiCall]) -> str | None:
        return next((c.body["request"]["body"]["model"] for c in answers(spans)), None)

    large, medium, small = (of_model(model.name) for model in MODELS)
    assert all(a > b > c for a, b, c in zip(large, medium, small, strict=True))


def rated(created: list[ApiCall], of_trace: dict[str, list[ApiCall]]) -> list[tuple[ApiCall, int]]:
    """The first request of each rated trace, and the value given."""
    return [(of_trace[c.body["trace_id"]][0], c.body["value"]) for c in created if c.body["trace_id"] in of_trace]


def test_the_new_version_of_a_prompt_replaces_the_old_one_mid_week_and_is_better(
    requests: list[ApiCall], created: list[ApiCall], of_trace: dict[str, list[ApiCall]]
) -> None:
    times = defaultdict(list)
    for call in requests:
        times[metadata_of(call)["_prompt"]].append(began(call))
    old, new = times["support-answer-v1"], times["support-answer-v2"]
    assert min(old) < min(new) < max(old) < max(new)
    assert min(len(old), len(new)) > 500
    values = defaultdict(list)
    for request, value in rated(created, of_trace):
        values[metadata_of(request)["_prompt"]].append(value)
    assert mean(values["support-answer-v2"]) > mean(values["support-answer-v1"]) + 1


def test_the_bad_release_fails_is_slow_and_is_disliked_in_production_alone(
    requests: list[ApiCall], created: list[ApiCall], of_trace: dict[str, list[ApiCall]]
) -> None:
    schedule = Schedule(END)

    def is_bad(call: ApiCall) -> bool:
        return bool(metadata_of(call)["release"] == "r42")

    bad = [call for call in answers(requests) if is_bad(call)]
    assert {metadata_of(call)["_environment"] for call in bad} == {"production"}
    assert schedule.bad_from <= min(map(began, bad))
    assert max(map(began, bad)) < schedule.bad_until + timedelta(minutes=15)
    good = [
        call for call in answers(requests) if not is_bad(call) and metadata_of(call)["_environment"] == "production"
    ]

    def of(calls: list[ApiCall]) -> tuple[float, float]:
        bodies = [call.body["response"] for call in calls]
        return mean(each["status"] != 200 for each in bodies), mean(each["response_time"] for each in bodies)

    assert of(bad)[0] > 0.15 > 0.03 > of(good)[0]
    assert of(bad)[1] > 2 * of(good)[1]
    values = {kind: [v for request, v in rated(created, of_trace) if is_bad(request) is kind] for kind in (True, False)}
    assert len(values[True]) > 50
    assert mean(values[True]) < mean(values[False]) - 2


def test_traces_have_several_turns_with_their_spans_in_a_tree(of_trace: dict[str, list[ApiCall]]) -> None:
    turns = Counter()  # type: ignore[var-annotated]
    for spans in of_trace.values():
        by_id = {call.body["span_id"]: call.body for call in spans}
        assert len(by_id) == len(spans)
        turns[len(answers(spans))] += 1
        for body in by_id.values():
            parent = by_id.get(body.get("parent_span_id"))
            if body["span_name"] == "retrieve" and len(answers(spans)):
                assert parent is None or parent["span_name"] == "answer"
            elif parent:
                assert len(body["request"]["body"]["messages"]) == len(parent["request"]["body"]["messages"]) + 2
    assert turns[1] > turns[2] > turns[3] > 50


def test_every_language_is_asked_answered_and_commented_in(requests: list[ApiCall], created: list[ApiCall]) -> None:
    spoken = {metadata_of(call)["language"] for call in answers(requests)}
    commented = Counter(metadata_of(call)["language"] for call in created if ratings.COMMENT in metadata_of(call))
    assert spoken == set(LANGUAGES)
    assert all(commented[language] > 20 for language in LANGUAGES)
    assert ratings.COMMENT == feedback_forms.COMMENT, "the dashboard shows them as comments"
    texts = [str(call.body) for call in (*requests, *created)]
    assert not [text for text in texts if "{few}" in text or "{number}" in text]


def test_people_of_different_trust_rate_thumb_comment_change_their_minds_and_come_late(
    calls: list[ApiCall], requests: list[ApiCall], created: list[ApiCall], of_trace: dict[str, list[ApiCall]]
) -> None:
    values = Counter(call.body["value"] for call in created)
    assert set(values) == set(range(-10, 11))
    assert values[1] + values[-1] > len(created) / 4
    assert {call.body["weight"] for call in created} == {1.0, 0.8, 0.5, 0.3}
    raters = defaultdict(set)
    for call in created:
        raters[call.body["trace_id"]].add(metadata_of(call)["_user"])
    assert max(map(len, raters.values())) >= 3
    assert len({user for users in raters.values() for user in users}) > 200
    kinds = Counter(call.kind for call in calls)
    assert kinds["update"] > 50
    assert kinds["delete"] > 30
    late = [c for c in created if (spans := of_trace.get(c.body["trace_id"])) and c.at - spans[-1].at > timedelta(1)]
    assert len(late) > 50
    assert {metadata_of(call)["_environment"] for call in requests} == set(ENVIRONMENTS)
    assert 0.3 < len(created) / REQUESTS < 0.55


def test_some_feedback_is_orphaned_and_some_still_waits(
    created: list[ApiCall], of_trace: dict[str, list[ApiCall]]
) -> None:
    alone = [call for call in created if call.body["trace_id"] not in of_trace]
    orphaned = [call for call in alone if call.at < END - timedelta(days=7)]
    assert len(orphaned) >= 20
    assert len(alone) - len(orphaned) >= 20


def test_a_trace_id_of_the_demo_says_so_and_no_other_does(calls: list[ApiCall]) -> None:
    assert all(is_demo(call.body["trace_id"]) for call in calls if "trace_id" in call.body)
    good = trace_id_of(1, 42)
    for other in (
        "",
        "demo-",
        "demo-1",
        "demo-1-00042",
        f"{good}0",
        good[:-1] + "x",
        good.replace("42", "43"),
        f"x{good}",
    ):
        assert not is_demo(other)


def test_it_names_the_address_at_which_the_api_here_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FEEDBACK_HOST", "FEEDBACK_PORT", "FEEDBACK_PUBLIC_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    given = Namespace(seed=1, requests=10, workspace="default")
    (tmp_path / ".feedback").mkdir()
    (tmp_path / ".feedback" / "api_address").write_text("http://127.0.0.1:8080\n")
    assert command._made(given)[2] == "http://127.0.0.1:8080"
    monkeypatch.setenv("FEEDBACK_PUBLIC_URL", "https://feedback.example")
    assert command._made(given)[2] == "https://feedback.example"
