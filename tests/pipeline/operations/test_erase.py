"""A person's rows are gone from every table, their numbers from every sum, and nobody else's are touched."""

import random
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import requests
from clickhouse_connect.driver.httpclient import HttpClient

from deploy import cli
from operations import removal
from operations.audit import audit
from operations.connections import CommandError
from operations.erase import erasure
from operations.erase.conditions import PERSON_ROWS, subject_of
from operations.progress import Progress
from tests.pipeline.engines import until
from tests.pipeline.running import Pipeline
from tests.pipeline.stream_workers.test_pipeline import a_trace
from tests.tries import TIMES

GROUP = "feedback-workers"


def mentions(pipeline: Pipeline, *texts: str) -> dict[str, int]:
    """Rows of any table with one of the texts in any of their columns of text."""
    columns = pipeline.sql(
        "SELECT table, groupArray(name) AS names FROM system.columns WHERE database = 'feedback'"
        " AND (type LIKE '%String%' OR type LIKE '%UUID%')"
        " AND table IN (SELECT name FROM system.tables WHERE database = 'feedback' AND engine LIKE '%MergeTree')"
        " GROUP BY table"
    )
    assert len(columns) > 8
    counts = []
    for row in columns:
        joined = ", ".join(f"toString({name})" for name in row["names"])
        found = f"multiSearchAny(concat('', {joined}), {{t:Array(String)}})"
        counts.append(f"SELECT '{row['table']}' AS name, count() AS rows FROM feedback.{row['table']} WHERE {found}")
    return {row["name"]: row["rows"] for row in pipeline.sql(" UNION ALL ".join(counts), t=list(texts)) if row["rows"]}


def address(pipeline: Pipeline) -> list[str]:
    return ["--clickhouse-url", pipeline.engines.clickhouse, "--bootstrap", pipeline.engines.kafka]


def rows_by_table(told: str) -> dict[str, list[str]]:
    """The numbers that a command has printed of each table."""
    rows = [line.split() for line in told.splitlines() if line.startswith((*PERSON_ROWS, "trace_aggregate_rows"))]
    return {table: numbers for table, *numbers in rows}


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
        by_period = (
            "SELECT period, sum(feedback_count) AS n FROM feedback.rollups WHERE key = {k:String} GROUP BY period"
        )
        of_all = [len({*theirs, edited})] * 2
        until(lambda: [row["n"] for row in pipeline.sql(by_period, k=person)] == of_all, "hours and days know them")
        assert {"feedback_rows", "journal", "request_log_rows", "dead_letters", "rollup_rows"} <= set(
            mentions(pipeline, person)
        )

        capsys.readouterr()
        assert cli.main(["erase", "--dry-run", "--user", person, *address(pipeline)]) == 0
        told = capsys.readouterr().out
        assert "Nothing was changed" in told
        would_go = rows_by_table(told)
        assert mentions(pipeline, person).keys() >= {"feedback_rows", "journal", "rollup_rows"}
        assert "erasures_under_way" not in mentions(pipeline, person), "a dry run notes nothing"

        assert cli.main(["erase", "--user", person, *address(pipeline)]) == 0
        told = capsys.readouterr().out
        assert "Nothing is left" in told
        counts = rows_by_table(told)
        assert {table: rows[:1] for table, rows in counts.items()} == would_go
        assert counts["feedback_rows"][1:] == counts["trace_aggregate_rows"][1:] == ["0"]
        assert int(counts["feedback_rows"][0]) >= 4
        assert int(counts["trace_aggregate_rows"][0]) >= 2
        assert mentions(pipeline, person) == {}
        erased = (*theirs, edited)
        assert set(mentions(pipeline, *erased)) <= {"journal"}, "only invalidations may name a feedback"
        enriched = pipeline.topic("feedback.enriched.v1")
        assert [enriched[each] for each in erased] == [None] * len(erased)
        assert [pipeline.stored(each) for each in erased] == [{}] * len(erased)

        until(lambda: pipeline.aggregate(shared).get("feedback_count") == 1, "the other's feedback still counts")
        assert pipeline.aggregate(shared)["requests"] == 1
        assert pipeline.aggregate(alone) == {}
        assert pipeline.topic("trace.aggregates.v1")[f"default/{alone}"] is None
        assert [pipeline.stored(each)["value"] for each in kept] == [4, 5]
        assert pipeline.stored(kept[0])["models"] == ["model-s"]
        assert pipeline.sql(by_period, k=person) == []
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


def test_a_person_whom_no_worker_has_read_of_is_not_said_to_be_unknown(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    person = f"person-{uuid.uuid4().hex}"
    until(pipeline.is_settled, "all is read")
    for worker in pipeline.workers:
        worker.stop()
    try:
        pipeline.post("/v1/feedback", {"trace_id": a_trace(), "value": 1, "metadata": {"_user": person}})
        capsys.readouterr()
        assert cli.main(["erase", "--user", person, "--dry-run", *address(pipeline)]) == 0
        assert "The workers have not read 1 records yet" in capsys.readouterr().out
        with pytest.raises(CommandError, match="have made no progress for 0 s, 1 records before the end"):
            erasure.erase(
                *address(pipeline)[1::2], GROUP, subject_of("default", person), progress=Progress(), patience_s=0
            )
    finally:
        for worker in pipeline.workers:
            worker.start()
    assert cli.main(["erase", "--user", person, *address(pipeline)]) == 0
    assert rows_by_table(capsys.readouterr().out)["feedback_rows"] == ["1", "0"]


def test_a_person_of_thousands_of_feedbacks_is_erased_like_any_other(pipeline: Pipeline) -> None:
    person, count = f"person-{uuid.uuid4().hex}", 3000
    traces = [a_trace() for _ in range(count)]
    for start in range(0, count, 1000):
        for trace in traces[start : start + 3]:
            pipeline.request(trace, "model", _user=person)
        feedback = [{"trace_id": t, "value": 1, "metadata": {"_user": person}} for t in traces[start : start + 1000]]
        pipeline.post("/v1/feedback", feedback)
    until(lambda: mentions(pipeline, person).get("feedback_rows", 0) >= count, "all is stored")
    assert cli.main(["erase", "--user", person, *address(pipeline)]) == 0
    until(lambda: cli.main(["audit", *address(pipeline)]) == 0, "the invalidations are stored")
    assert mentions(pipeline, person) == {}
    rows = "SELECT count() FROM feedback.trace_aggregate_rows WHERE trace_id IN (SELECT arrayJoin({t:Array(String)}))"
    assert pipeline.count(rows, t=traces[:100]) == 0


class Killed(BaseException):
    """The command ends here, whatever it was about to do."""


@pytest.mark.each_source
def test_an_erasure_that_was_killed_at_any_step_is_finished_by_the_next(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run after the other is killed before a write, some writes later each time: at which is drawn anew."""
    person, other, words = (f"{name}-{uuid.uuid4().hex}" for name in ("person", "other", "words"))
    with pipeline.rollup():
        alone, tagged, shared = a_trace(), a_trace(), a_trace()
        theirs = [pipeline.feedback(alone, 9, _user=person), pipeline.feedback(tagged, 3, text=words)]
        kept = pipeline.feedback(shared, 4, _user=other)
        for trace in (tagged, shared):
            pipeline.request(trace, "model", _user=person)
        until(lambda: pipeline.stored(theirs[1]).get("_user") == person, "the request has tagged the feedback")
        until(lambda: pipeline.aggregate(shared).get("requests") == 1, "the other's trace has the request")
        by_user = "SELECT count() FROM feedback.rollups WHERE key = {k:String}"
        until(lambda: pipeline.count(by_user, k=person) > 0, "the rollups know them")
        left = 0

        def killed_in_time(write: Callable[..., Any]) -> Callable[..., Any]:
            def run(*given: Any, **named: Any) -> Any:
                nonlocal left
                if write is not command or str(given[1]).lstrip().startswith(("INSERT", "ALTER")):
                    if left == 0:
                        raise Killed
                    left -= 1
                return write(*given, **named)

            return run

        command = HttpClient.command
        with monkeypatch.context() as patched:
            for owner, name in (
                (HttpClient, "command"), (HttpClient, "insert"),
                (erasure, "delete_feedback"), (erasure, "invalidate"), (erasure, "_roll_up"),
            ):  # fmt: skip
                patched.setattr(owner, name, killed_in_time(getattr(owner, name)))
            step = 1 if TIMES > 1 else 5
            for writes in range(random.randrange(step), 40, step):
                left = writes
                try:
                    code = cli.main(["erase", "--user", person, *address(pipeline)])
                except Killed:
                    continue
                break
        assert code == 0
        assert writes > 10, "each table and topic is a write"
        until(lambda: cli.main(["audit", *address(pipeline)]) == 0, "the invalidations are stored")
        assert mentions(pipeline, person, words) == {}
        assert set(mentions(pipeline, *theirs)) <= {"journal"}, "only invalidations may name a feedback"
        enriched = pipeline.topic("feedback.enriched.v1")
        assert [enriched[each] for each in theirs] == [None] * len(theirs)
        rows = "SELECT count() FROM feedback.trace_aggregate_rows WHERE trace_id IN {t:Array(String)}"
        assert pipeline.count(rows, t=[alone, tagged]) == 0
        aggregates = pipeline.topic("trace.aggregates.v1")
        assert [aggregates[f"default/{trace}"] for trace in (alone, tagged)] == [None, None]
        assert pipeline.count(by_user, k=person) == 0
        until(lambda: pipeline.count(by_user, k=other) == 2, "the other's rollups stand")
        assert pipeline.stored(kept)["models"] == ["model"]
        assert pipeline.aggregate(shared)["requests"] == 1


def test_an_erasure_that_was_killed_before_kept_sums_were_forgotten_is_finished_by_the_next(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = f"person-{uuid.uuid4().hex}"
    pipeline.request(a_trace(), "model", _user=person)
    of_person = "SELECT count() FROM feedback.request_logs WHERE _user = {u:String}"
    until(lambda: pipeline.count(of_person, u=person) == 1, "the request is stored")
    sums = "INSERT INTO feedback.request_day_sums (workspace, key, day, `groups.value`)"
    pipeline.sql_client.command(f"{sums} SELECT 'default', '_user', today(), [{{u:String}}]", {"u": person})
    assert "request_day_sums" in mentions(pipeline, person)

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(removal, "forget_sums", killed)
        patched.setattr(erasure, "forget_sums", killed)
        with pytest.raises(Killed):
            cli.main(["erase", "--user", person, *address(pipeline)])
    assert pipeline.count(of_person, u=person) == 0, "it was killed after the removal"
    assert cli.main(["erase", "--user", person, *address(pipeline)]) == 0
    assert mentions(pipeline, person) == {}


def test_a_person_whom_only_a_dead_letter_names_is_erased(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    person = f"person-{uuid.uuid4().hex}"
    never_given = f"{pipeline.feedback(a_trace(), 1)[:32]}0000"
    change = {"value": 1, "metadata": {"_user": person}}
    requests.put(f"{pipeline.url}/v1/feedback/{never_given}", json=change, timeout=30).raise_for_status()
    until(lambda: mentions(pipeline, person) == {"dead_letters": 1}, "the letter is stored")
    assert cli.main(["erase", "--user", person, *address(pipeline)]) == 0
    assert rows_by_table(capsys.readouterr().out)["dead_letters"] == ["1", "0"]
    assert mentions(pipeline, person) == {}


def test_what_returns_of_an_erased_person_without_their_name_goes_when_they_are_erased_again(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after `feedback replay` from a time after their request or the create of their feedback."""
    person, words, sql = f"person-{uuid.uuid4().hex}", f"words-{uuid.uuid4().hex}", pipeline.sql_client
    trace = a_trace()
    pipeline.request(trace, _user=person)
    feedback = pipeline.feedback(trace, 9, text=words)
    change = {"value": 8, "metadata": {"text": words}}
    requests.put(f"{pipeline.url}/v1/feedback/{feedback}", json=change, timeout=30).raise_for_status()
    until(lambda: pipeline.stored(feedback).get("value") == 8, "the change is stored")
    assert pipeline.stored(feedback)["_user"] == person
    sql.command("CREATE TABLE feedback.late_journal AS feedback.journal")
    try:
        sql.command(
            "INSERT INTO feedback.late_journal SELECT * FROM feedback.journal WHERE id = {id:UUID}", {"id": feedback}
        )
        late = "FROM feedback.late_journal WHERE JSONExtractString(entry, 'event') ="
        letter = (
            "'feedback.events.v1', kafka_partition, sequence, sequence, now64(3), 'unknown_feedback', '', '', entry"
        )
        columns = "topic, kafka_partition, sequence, kafka_offset, recorded_at, reason, detail, key, value"
        for returns in (
            f"feedback.journal SELECT * {late} 'create'",
            f"feedback.dead_letters ({columns}) SELECT {letter} {late} 'update'",
        ):
            assert cli.main(["erase", "--user", person, *address(pipeline)]) == 0
            until(lambda: cli.main(["audit", *address(pipeline)]) == 0, "the invalidations are stored")
            assert set(mentions(pipeline, words)) == {"late_journal"}
            sql.command(f"INSERT INTO {returns}")
            capsys.readouterr()
            assert cli.main(["audit", *address(pipeline)]) == 1
            assert "1 records that were erased are stored again" in capsys.readouterr().out
        assert cli.main(["erase", "--user", person, *address(pipeline)]) == 0
        until(lambda: cli.main(["audit", *address(pipeline)]) == 0, "the invalidations are stored")
        assert set(mentions(pipeline, words)) == {"late_journal"}
    finally:
        sql.command("DROP TABLE feedback.late_journal")


def test_what_a_late_worker_writes_of_an_erased_person_is_told_and_goes_when_they_are_erased_again(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    person, sql = f"person-{uuid.uuid4().hex}", pipeline.sql_client
    trace = a_trace()
    feedback, request = pipeline.feedback(trace, 9, 0.5, _user=person), pipeline.request(trace, _user=person)
    until(lambda: pipeline.stored(feedback).get("join_state") == "joined", "both are stored")
    tables = {"feedback_rows": "feedback_id", "request_log_rows": "request_id", "journal": "id"}
    for table, column in tables.items():
        sql.command(f"CREATE TABLE feedback.late_{table} AS feedback.{table}")
        sql.command(
            f"INSERT INTO feedback.late_{table} SELECT * FROM feedback.{table} WHERE {column} IN {{id:Array(UUID)}}",
            {"id": [feedback, request]},
        )
    try:
        assert cli.main(["erase", "--user", person, *address(pipeline)]) == 0
        until(lambda: cli.main(["audit", *address(pipeline)]) == 0, "the invalidations are stored")
        assert pipeline.stored(feedback) == {}
        returned = "records that were erased are stored again: run the same `feedback erase` again"
        # Of the request alone, its row or what it said of its trace; then of the feedback as well.
        for late in (["request_log_rows"], ["journal WHERE kind = 'request'"], tables):
            for each in late:
                table = each.split()[0]
                sql.command(f"INSERT INTO feedback.{table} SELECT * FROM feedback.late_{each}")
            capsys.readouterr()
            assert cli.main(["audit", *address(pipeline)]) == 1
            assert f"1 {returned}" in capsys.readouterr().out
            if late is not tables:
                assert cli.main(["erase", "--user", person, *address(pipeline)]) == 0
                until(lambda: cli.main(["audit", *address(pipeline)]) == 0, "the invalidations are stored")
        assert pipeline.stored(feedback)["_user"] == person
        assert cli.main(["erase", "--user", person, *address(pipeline)]) == 0
        until(lambda: cli.main(["audit", *address(pipeline)]) == 0, "the invalidations are stored")
    finally:
        for table in tables:
            sql.command(f"DROP TABLE feedback.late_{table}")
    assert pipeline.stored(feedback) == {}
    assert mentions(pipeline, person) == {}
    capsys.readouterr()
    assert cli.main(["erase", "--user", person, *address(pipeline)]) == 0
    assert f"Nothing names the user '{person}' in the workspace 'default'" in capsys.readouterr().out
    change = {"value": 1, "metadata": {"text": "I am back"}}
    requests.put(f"{pipeline.url}/v1/feedback/{feedback}", json=change, timeout=30).raise_for_status()

    def receipt() -> tuple[str, str]:
        told = requests.get(f"{pipeline.url}/v1/feedback/{feedback}", timeout=30).json()
        return told["status"], told.get("reason")

    until(lambda: receipt() == ("dead", "unknown_feedback"), "a change that comes later finds nothing to change")
