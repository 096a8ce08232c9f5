"""HTTP in, SQL and topics out, over real engines: the promises a user sees from outside."""

import json
import random
import threading
import uuid
from decimal import Decimal
from pathlib import Path

import pytest
import requests

from tests.pipeline.engines import until
from tests.pipeline.running import Pipeline

pytestmark = pytest.mark.each_source


def a_trace() -> str:
    return f"trace-{uuid.uuid4()}"


def test_feedback_joins_a_request_that_comes_later(pipeline: Pipeline) -> None:
    trace = a_trace()
    feedback = pipeline.feedback(trace, 5, 0.5, text="good", _environment="production")
    until(lambda: pipeline.stored(feedback), "the feedback is stored")
    before = pipeline.stored(feedback)
    assert (before["join_state"], before["models"], before["_user"]) == ("pending", [], "")
    pipeline.request(trace, "gpt-4o", "openai", _user="u7", start_time="2026-01-01T12:00:00Z")
    until(lambda: pipeline.stored(feedback)["join_state"] == "joined", "the feedback is joined")
    after = pipeline.stored(feedback)
    assert (after["models"], after["providers"]) == (["gpt-4o"], ["openai"])
    assert (after["_user"], after["_environment"]) == ("u7", "production")
    assert json.loads(after["metadata"]) == {"text": "good", "_environment": "production"}
    assert (after["value"], after["weight"]) == (5, Decimal("0.5"))
    assert after["version"] > before["version"]


def test_feedback_joins_requests_that_came_before(pipeline: Pipeline) -> None:
    trace = a_trace()
    pipeline.request(trace, "m1", _user="first", _prompt="p", start_time="2026-01-01T11:00:00Z")
    pipeline.request(trace, "m2", _user="second", start_time="2026-01-01T12:00:00Z")
    until(
        lambda: pipeline.count("SELECT count() FROM feedback.request_logs WHERE trace_id = {t:String}", t=trace) == 2,
        "both requests are stored",
    )
    feedback = pipeline.feedback(trace, -3, _organisation="own")
    until(lambda: pipeline.stored(feedback), "the feedback is stored")
    row = pipeline.stored(feedback)
    assert (row["join_state"], row["models"]) == ("joined", ["m1", "m2"])
    assert (row["_user"], row["_prompt"], row["_organisation"]) == ("first", "p", "own")


def test_many_requests_and_many_feedbacks_on_one_trace_give_exact_numbers(pipeline: Pipeline) -> None:
    trace, given = a_trace(), [(5, 0.1), (-3, 0.2), (10, 0.3), (0, 1.0)]
    for n, (value, weight) in enumerate(given):
        pipeline.request(trace, f"m{n}")
        pipeline.feedback(trace, value, weight)
    pipeline.request(trace, "m4")
    until(lambda: pipeline.aggregate(trace).get("requests") == 5, "all five requests are counted")
    until(lambda: pipeline.aggregate(trace).get("feedback_count") == 4, "all four feedbacks are counted")
    row = pipeline.aggregate(trace)
    assert row["weight_sum"] == Decimal("1.6")
    assert row["value_weight_sum"] == Decimal("2.9")
    assert row["weight_value_squared_sum"] == Decimal("34.3")
    assert (row["value_min"], row["value_max"], row["value_last"]) == (-3, 10, 0)
    assert row["mean_value_weight"] == pytest.approx(2.9 / 4)
    assert row["weighted_mean"] == pytest.approx(2.9 / 1.6)
    models = pipeline.sql("SELECT DISTINCT models FROM feedback.feedback WHERE trace_id = {t:String}", t=trace)
    assert models == [{"models": ["m0", "m1", "m2", "m3", "m4"]}]


def test_an_edit_keeps_what_it_omits_and_a_delete_takes_the_feedback_out_everywhere(pipeline: Pipeline) -> None:
    trace = a_trace()
    kept, removed = pipeline.feedback(trace, 1, 0.5, text="x"), pipeline.feedback(trace, 9)
    assert requests.put(f"{pipeline.url}/v1/feedback/{kept}", json={"value": 7}, timeout=30).status_code == 200
    assert requests.delete(f"{pipeline.url}/v1/feedback/{removed}", timeout=30).status_code == 200
    until(lambda: pipeline.stored(kept).get("value") == 7, "the edit shows")
    row = pipeline.stored(kept)
    assert (row["weight"], json.loads(row["metadata"])) == (Decimal("0.5"), {"text": "x"})
    until(lambda: pipeline.aggregate(trace).get("feedback_count") == 1, "the deleted one no longer counts")
    assert pipeline.stored(removed) == {}
    until(lambda: pipeline.topic("feedback.enriched.v1").get(removed, ...) is None, "the topic has a tombstone")


def test_the_topics_say_what_the_tables_say(pipeline: Pipeline) -> None:
    trace = a_trace()
    pipeline.request(trace, "gpt-4o", _prompt="p9")
    feedback = pipeline.feedback(trace, 4, 0.25, note="ü")
    until(lambda: pipeline.stored(feedback).get("join_state") == "joined", "the feedback is joined")
    until(lambda: feedback in pipeline.topic("feedback.enriched.v1"), "the enriched message is there")
    message, row = pipeline.topic("feedback.enriched.v1")[feedback], pipeline.stored(feedback)
    assert message is not None
    assert message["metadata"] == {"note": "ü"}
    assert (message["_prompt"], message["_user"], message["weight"]) == ("p9", None, 0.25)
    for name in ("trace_id", "value", "join_state", "models", "providers", "version"):
        assert message[name] == row[name]
    aggregate = pipeline.topic("trace.aggregates.v1")[f"default/{trace}"]
    assert aggregate is not None
    assert (aggregate["feedback_count"], aggregate["value_weight_sum"], aggregate["requests"]) == (1, 1.0, 1)


@pytest.mark.parametrize("topic", ["feedback.events.v1", "request.logs.v1"])
@pytest.mark.parametrize(
    ("poison", "reason"),
    [(b"not json", "not_json"), (b'{"event":"create"} ', "invalid"), (b"\xff\xfe", "not_utf8")],
)
def test_a_poison_record_goes_to_the_dead_letters_and_the_partition_goes_on(
    pipeline: Pipeline, topic: str, poison: bytes, reason: str
) -> None:
    mark = poison + uuid.uuid4().hex.encode()
    for partition in range(4):
        pipeline.produce(topic, partition, mark)
    feedback = pipeline.feedback(a_trace(), 1)
    until(lambda: pipeline.stored(feedback), "feedback behind the poison is stored")
    until(lambda: pipeline.accounted() == pipeline.accepted(), "every record is accounted for")
    letters = "SELECT DISTINCT reason, detail FROM feedback.dead_letters WHERE value = unhex({v:String})"
    (row,) = pipeline.sql(letters, v=mark.hex())
    assert row["reason"] == reason
    assert row["detail"]
    letter = pipeline.dead(mark)
    assert letter is not None
    assert letter["topic"] == topic


def test_nothing_is_lost_or_counted_twice_when_workers_die_in_the_middle(pipeline: Pipeline) -> None:
    """Thousands of mixed events while workers are killed, join and leave; then everything is counted again."""
    chance, traces = random.Random(7), [a_trace() for _ in range(300)]
    expected: dict[str, list[tuple[int, Decimal]]] = {trace: [] for trace in traces}
    counted: dict[str, int] = dict.fromkeys(traces, 0)
    second = pipeline.add_worker()

    def send() -> None:
        for _ in range(60):
            batch = [(chance.choice(traces), chance.randint(-10, 10), chance.randint(0, 100)) for _ in range(50)]
            pipeline.post("/v1/feedback", [{"trace_id": t, "value": v, "weight": w / 100} for t, v, w in batch])
            for trace, value, weight in batch:
                expected[trace].append((value, Decimal(weight) / 100))
            logged = [chance.choice(traces) for _ in range(20)]
            pipeline.post("/v1/logs", [{"request": {}, "response": {}, "metadata": {"trace_id": t}} for t in logged])
            for trace in logged:
                counted[trace] += 1

    sender = threading.Thread(target=send)
    sender.start()
    first_stored = "SELECT count() FROM feedback.feedback_rows WHERE trace_id IN {t:Array(String)}"
    until(lambda: pipeline.count(first_stored, t=traces) > 500, "work has begun")
    second.kill()
    pipeline.workers[0].kill()
    pipeline.workers[0].start()
    third = pipeline.add_worker()
    sender.join()

    until(pipeline.is_settled, "the workers have processed everything")
    assert pipeline.accounted() == pipeline.accepted()
    rows = pipeline.sql("SELECT * FROM feedback.trace_aggregates WHERE trace_id IN {t:Array(String)}", t=traces)
    touched = [trace for trace in traces if expected[trace]]
    assert {row["trace_id"] for row in rows} == set(touched)
    for row in rows:
        pairs = expected[row["trace_id"]]
        assert row["feedback_count"] == len(pairs)
        assert row["weight_sum"] == sum(weight for _, weight in pairs)
        assert row["value_weight_sum"] == sum(value * weight for value, weight in pairs)
        assert row["requests"] == counted[row["trace_id"]]
    stored = pipeline.sql(
        "SELECT count() AS rows, uniqExact(feedback_id) AS ids, countIf(join_state = 'joined') AS joined"
        " FROM feedback.feedback WHERE trace_id IN {t:Array(String)}", t=traces,
    )[0]  # fmt: skip
    total = sum(map(len, expected.values()))
    assert (stored["rows"], stored["ids"]) == (total, total)
    assert stored["joined"] == sum(len(pairs) for trace, pairs in expected.items() if counted[trace])
    third.stop()


def test_a_worker_never_loads_pandas_which_would_be_in_vain(pipeline: Pipeline) -> None:
    feedback = pipeline.feedback(a_trace(), 1)
    until(lambda: pipeline.stored(feedback), "the feedback is stored")
    worker = next(each for each in pipeline.workers if each.running)
    loaded = Path(f"/proc/{worker.pid}/maps")
    if not loaded.exists():
        pytest.skip("this system does not show what a process has loaded")
    assert "pyarrow" in loaded.read_text()
    assert "pandas" not in loaded.read_text()


def test_a_query_on_the_special_fields_reads_only_the_parts_that_hold_them(pipeline: Pipeline) -> None:
    tag = uuid.uuid4().hex[:8]
    pipeline.post(
        "/v1/feedback",
        [
            {
                "trace_id": a_trace(),
                "value": 1,
                "metadata": {
                    "_organisation": f"{tag}-o{n % 40}",
                    "_environment": ("production", "staging", "development")[n % 3],
                    "_user": f"{tag}-u{n}",
                },
            }
            for n in range(900)
        ],
    )
    count = "SELECT count() FROM feedback.feedback WHERE startsWith(_organisation, {o:String})"
    until(lambda: pipeline.count(count, o=tag) == 900, "all are stored")
    everything = parts_read(pipeline, "1")
    organisation = parts_read(pipeline, f"_organisation = '{tag}-o7'")
    assert organisation < everything
    assert parts_read(pipeline, f"_organisation = '{tag}-o7' AND _environment = 'staging'") <= organisation
    assert parts_read(pipeline, f"_user = '{tag}-u77'") < everything


def parts_read(pipeline: Pipeline, condition: str) -> int:
    """How many parts of the stored feedback a query reads, by what the engine says of it."""
    plan = pipeline.sql_client.query(
        f"EXPLAIN indexes = 1 SELECT count() FROM feedback.feedback WHERE {condition}"
    ).result_rows
    read = next(line.strip() for (line,) in plan if line.strip().startswith("Parts:") and "|" in line)
    return int(read.removeprefix("Parts:").split("|")[0])
