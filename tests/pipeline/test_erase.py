"""A person's rows are gone from every table, their numbers from every sum, and nobody else's are touched."""

import uuid

import pytest
import requests

from deploy import cli
from deploy.audit import audit
from tests.pipeline.engines import until
from tests.pipeline.running import Pipeline
from tests.pipeline.test_pipeline import a_trace


def mentions(pipeline: Pipeline, text: str) -> dict[str, int]:
    """Rows of any table with the text in any of their columns of text."""
    columns = pipeline.sql(
        "SELECT table, groupArray(name) AS names FROM system.columns WHERE database = 'feedback'"
        " AND (type LIKE '%String%' OR type LIKE '%UUID%')"
        " AND table IN (SELECT name FROM system.tables WHERE database = 'feedback' AND engine LIKE '%MergeTree')"
        " GROUP BY table"
    )
    found = {}
    for row in columns:
        joined = ", ".join(f"toString({name})" for name in row["names"])
        found[row["table"]] = pipeline.count(
            f"SELECT count() FROM feedback.{row['table']} WHERE position(concat('', {joined}), {{t:String}}) > 0",
            t=text,
        )
    assert len(found) > 8
    return {table: count for table, count in found.items() if count}


def test_nothing_of_an_erased_person_is_left_in_any_table(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    person, other = f"person-{uuid.uuid4().hex}", f"other-{uuid.uuid4().hex}"
    with pipeline.rollup():
        alone, shared, tagged = a_trace(), a_trace(), a_trace()
        theirs = [
            pipeline.feedback(alone, 9, 0.5, _user=person, text=f"I am {person}"),
            pipeline.feedback(shared, -9, 0.5, _user=person),
            pipeline.feedback(tagged, 3, 0.5),  # theirs by the request of its trace
        ]
        kept = [pipeline.feedback(shared, 4, 0.5, _user=other), pipeline.feedback(a_trace(), 5, 0.5, _user=other)]
        edited = pipeline.feedback(a_trace(), 1, 1, _user=other)
        change = {"metadata": {"_user": person}}
        requests.put(f"{pipeline.url}/v1/feedback/{edited}", json=change, timeout=30).raise_for_status()
        pipeline.request(tagged, "model-t", _user=person)
        pipeline.request(shared, "model-s", _user=person)
        unknown = f"{theirs[0][:24]}{theirs[0][24:32]}0000"
        requests.put(f"{pipeline.url}/v1/feedback/{unknown}", json={"value": 1, **change}, timeout=30)
        until(lambda: pipeline.stored(theirs[2]).get("_user") == person, "the request has tagged the feedback")
        until(lambda: pipeline.stored(kept[0]).get("models") == ["model-s"], "the other's feedback is joined")
        until(lambda: pipeline.accounted() == pipeline.accepted(), "every record is accounted for")
        by_user = "SELECT count() FROM feedback.rollups WHERE key = {k:String}"
        until(lambda: pipeline.count(by_user, k=person) > 0, "the rollups know them")
        assert {"feedback_rows", "trace_journal", "request_log_rows", "dead_letters", "rollup_rows"} <= set(
            mentions(pipeline, person)
        )

        capsys.readouterr()
        address = ["--clickhouse-url", pipeline.engines.clickhouse, "--bootstrap", pipeline.engines.kafka]
        assert cli.main(["erase", "--user", person, *address]) == 0
        told = capsys.readouterr().out
        assert "Nothing is left" in told
        assert mentions(pipeline, person) == {}
        for each in (*theirs, edited):
            assert set(mentions(pipeline, each)) <= {"trace_journal"}, "only notices may name a feedback"
            assert pipeline.stored(each) == {}
            assert pipeline.topic("feedback.enriched.v1")[each] is None

        until(lambda: pipeline.aggregate(shared).get("feedback_count") == 1, "the other's feedback still counts")
        assert pipeline.aggregate(shared)["requests"] == 1
        assert pipeline.aggregate(alone) == {}
        assert pipeline.topic("trace.aggregates.v1")[f"default/{alone}"] is None
        assert [pipeline.stored(each)["value"] for each in kept] == [4, 5]
        assert pipeline.stored(kept[0])["models"] == ["model-s"]
        assert pipeline.count(by_user, k=person) == 0
        count = "SELECT sum(feedback_count) FROM feedback.rollups WHERE period = 'day' AND key = {k:String}"
        until(lambda: pipeline.count(count, k=other) == 2, "the other's rollups stand")

        later = pipeline.feedback(shared, 7, 0.5, _user=other)
        until(lambda: pipeline.aggregate(shared).get("feedback_count") == 2, "the trace goes on")
        assert pipeline.stored(later)["models"] == ["model-s"]
        pipeline.request(shared, "model-later")
        until(lambda: pipeline.aggregate(shared).get("requests") == 2, "requests are still counted")
        until(lambda: pipeline.accounted() == pipeline.accepted(), "the books are right")
        engines = pipeline.engines
        accounts = audit(engines.clickhouse, engines.kafka, "feedback-workers", None)
        assert [account for account in accounts if account.missing or account.doubled] == []
