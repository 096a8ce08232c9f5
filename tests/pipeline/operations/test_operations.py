"""An operator's commands over a running pipeline: the books, the dead letters, and what never joined."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import requests
from clickhouse_connect.driver.httpclient import HttpClient

from deploy import cli
from operations.retention import apply_settings
from schemas import ids
from schemas.murmur2 import murmur2
from schemas.topics import FEEDBACK_EVENTS
from tests.pipeline.engines import until
from tests.pipeline.running import Pipeline
from tests.pipeline.stream_workers.test_pipeline import a_trace


@pytest.fixture(autouse=True)
def environment(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in pipeline.engines.environment.items():
        monkeypatch.setenv(name, value)


def everything_is_accounted_for(pipeline: Pipeline) -> None:
    until(pipeline.is_settled, "the workers have stored and committed everything")
    assert pipeline.accounted() == pipeline.accepted()
    assert cli.main(["audit"]) == 0, "the books are wrong"


def test_the_books_are_right_with_dead_letters_and_duplicates_in_them(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"trace_id": a_trace(), "value": 1}
    for _ in range(3):
        requests.post(f"{pipeline.url}/v1/feedback", json=body, headers=key, timeout=30).raise_for_status()
    pipeline.produce(FEEDBACK_EVENTS, 1, b"poison")
    everything_is_accounted_for(pipeline)
    capsys.readouterr()
    asked: list[str] = []
    ask = HttpClient.query
    monkeypatch.setattr(HttpClient, "query", lambda self, query, *given, **named: (
        asked.append(query), ask(self, query, *given, **named)
    )[1])  # fmt: skip
    assert cli.main(["audit"]) == 0
    of_records = sum("feedback.journal" in query for query in asked)
    assert 0 < of_records <= 6, "no question is asked of one partition after the other"
    last = capsys.readouterr().out.splitlines()[-1].split()
    accepted, stored, dead, erased, waiting, difference = (int(n.replace(",", "")) for n in last[1:])
    assert accepted == sum(pipeline.accepted().values()) == stored + dead + erased + waiting
    assert dead >= 1
    assert difference == 0


@pytest.mark.each_source
def test_a_replay_from_a_time_after_all_records_reads_none(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.feedback(a_trace(), 1)
    everything_is_accounted_for(pipeline)
    assert cli.main(["replay", "--from-time", "2099-01-01", "--dry-run"]) == 0
    assert "Nothing to read again" in capsys.readouterr().out


@pytest.mark.each_source
def test_what_no_worker_has_taken_yet_waits_and_is_no_difference(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    def audit_numbers() -> tuple[int, list[int]]:
        capsys.readouterr()
        code = cli.main(["audit"])
        numbers = capsys.readouterr().out.splitlines()[-1].split()[1:]
        return code, [int(number.replace(",", "")) for number in numbers]

    pipeline.feedback(a_trace(), 1)
    everything_is_accounted_for(pipeline)
    _, (accepted, stored, *_) = audit_numbers()
    for worker in pipeline.workers:
        worker.stop()
    try:
        pipeline.post("/v1/feedback", [{"trace_id": a_trace(), "value": 1} for _ in range(30)])
        code, (now_accepted, now_stored, _, _, waiting, difference) = audit_numbers()
        assert (code, now_accepted - accepted, now_stored - stored, waiting, difference) == (0, 30, 0, 30, 0)
        assert cli.main(["audit", "--offset-base", "1000000000"]) == 1
        assert "records are nowhere" in capsys.readouterr().out
        assert cli.main(["audit", "--group", "not-theirs"]) == 1
        assert "The group not-theirs has committed nothing" in capsys.readouterr().err
    finally:
        pipeline.workers[0].start()
    everything_is_accounted_for(pipeline)
    assert audit_numbers()[1][1] - stored == 30


@contextmanager
def rows_lost(pipeline: Pipeline, table: str, condition: str) -> Iterator[None]:
    """The table as if these rows had been lost."""
    client = pipeline.sql_client
    client.command(f"CREATE TABLE feedback.aside AS feedback.{table}")
    client.command(f"INSERT INTO feedback.aside SELECT * FROM feedback.{table} WHERE {condition}")
    client.command(f"ALTER TABLE feedback.{table} DELETE WHERE {condition} SETTINGS mutations_sync = 2")
    try:
        yield
    finally:
        client.command(f"INSERT INTO feedback.{table} SELECT * FROM feedback.aside")
        client.command("DROP TABLE feedback.aside")


def test_a_lost_row_is_found_with_its_partition_and_offset(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    feedback = pipeline.feedback(a_trace(), 3)
    until(lambda: pipeline.stored(feedback), "the feedback is stored")
    everything_is_accounted_for(pipeline)
    (row,) = pipeline.sql(f"SELECT kafka_partition, sequence FROM feedback.journal WHERE id = '{feedback}'")
    capsys.readouterr()
    with rows_lost(pipeline, "journal", f"id = '{feedback}'"):
        assert cli.main(["audit"]) == 1
    told = f"{FEEDBACK_EVENTS}/{row['kafka_partition']}: 1 records are nowhere, first at offsets [{row['sequence']}]"
    assert told in capsys.readouterr().out
    assert cli.main(["audit"]) == 0


def test_a_record_in_two_places_is_found(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    feedback = pipeline.feedback(a_trace(), 3)
    until(lambda: pipeline.stored(feedback), "the feedback is stored")
    everything_is_accounted_for(pipeline)
    pipeline.sql_client.command(
        "INSERT INTO feedback.dead_letters (topic, kafka_partition, sequence, reason)"
        f" SELECT '{FEEDBACK_EVENTS}', kafka_partition, sequence, 'planted' FROM feedback.journal"
        f" WHERE id = '{feedback}'"
    )
    capsys.readouterr()
    assert cli.main(["audit"]) == 1
    assert "1 records are both stored and dead" in capsys.readouterr().out
    pipeline.sql_client.command(
        "ALTER TABLE feedback.dead_letters DELETE WHERE reason = 'planted' SETTINGS mutations_sync = 2"
    )
    assert cli.main(["audit"]) == 0


@pytest.mark.each_source
def test_a_letter_is_listed_shown_and_sent_through_again_once_its_cause_is_mended(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = a_trace()
    trace_hash = murmur2(ids.trace_key("default", trace))
    partition = ids.partition_of(trace_hash, 4)
    feedback = str(ids.new_id(trace_hash, 1_780_000_000_000))
    common = {"workspace": "default", "feedback_id": feedback}
    at = datetime.now(UTC).isoformat()
    update = json.dumps({"event": "update", **common, "value": 7, "updated_at": at}).encode()
    pipeline.produce(FEEDBACK_EVENTS, partition, update)
    letter = f"SELECT sequence FROM feedback.dead_letters WHERE feedback_id = '{feedback}'"
    until(lambda: pipeline.sql(letter), "the update of what is not there is dead")
    place = f"{FEEDBACK_EVENTS}/{partition}/{pipeline.sql(letter)[0]['sequence']}"

    assert cli.main(["dead", "list", "--reason", "unknown_feedback"]) == 0
    assert place in capsys.readouterr().out
    assert cli.main(["dead", "show", place]) == 0
    shown = capsys.readouterr().out
    assert feedback in shown
    assert update.decode() in shown

    created = {
        "event": "create",
        **common,
        "trace_id": trace,
        "value": 1,
        "weight": 1,
        "metadata": {},
        "created_at": at,
    }
    pipeline.produce(FEEDBACK_EVENTS, partition, json.dumps(created).encode())
    until(lambda: pipeline.stored(feedback).get("value") == 1, "the feedback is there after all")
    assert cli.main(["dead", "redrive", place]) == 0
    assert f"left {place}: feedback {feedback} has changed since" in capsys.readouterr().out
    assert cli.main(["dead", "redrive", place, "--force", "--dry-run"]) == 0
    assert f"would send {place}" in capsys.readouterr().out
    assert cli.main(["dead", "redrive", place, "--force"]) == 0
    until(lambda: pipeline.stored(feedback).get("value") == 7, "the update is carried out")
    capsys.readouterr()
    assert cli.main(["dead", "redrive", place, "--force"]) == 0
    assert f"left {place}: it was sent through before" in capsys.readouterr().out
    everything_is_accounted_for(pipeline)


def test_a_letter_that_only_speaks_of_a_create_undoes_no_edit_stored_or_waiting(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = a_trace()
    trace_hash = murmur2(ids.trace_key("default", trace))
    partition, feedback = ids.partition_of(trace_hash, 4), str(ids.new_id(trace_hash, 1_780_000_000_000))
    common = {"workspace": "default", "feedback_id": feedback}
    at = datetime.now(UTC).isoformat()
    told = {"event": "update", **common, "value": 7, "metadata": {"event": "create"}, "updated_at": at}
    created = {
        "event": "create", **common, "trace_id": trace, "value": 1, "weight": 1, "metadata": {}, "created_at": at,
    }  # fmt: skip
    pipeline.produce(FEEDBACK_EVENTS, partition, json.dumps(told, indent=1).encode())
    letter = f"SELECT sequence FROM feedback.dead_letters WHERE feedback_id = '{feedback}'"
    until(lambda: pipeline.sql(letter), "the update of what is not there is dead")
    place = f"{FEEDBACK_EVENTS}/{partition}/{pipeline.sql(letter)[0]['sequence']}"
    everything_is_accounted_for(pipeline)
    for worker in pipeline.workers:
        worker.stop()
    try:
        pipeline.produce(FEEDBACK_EVENTS, partition, json.dumps(created).encode())
        capsys.readouterr()
        assert cli.main(["dead", "redrive", place]) == 0, "what waits is seen"
        assert f"left {place}: feedback {feedback} has changed since" in capsys.readouterr().out
    finally:
        pipeline.workers[0].start()
    edit = {"event": "update", **common, "value": 2, "updated_at": at}
    pipeline.produce(FEEDBACK_EVENTS, partition, json.dumps(edit).encode())
    until(lambda: pipeline.stored(feedback).get("value") == 2, "the later edit is stored")
    assert cli.main(["dead", "redrive", "--reason", "unknown_feedback"]) == 0
    assert f"left {place}: feedback {feedback} has changed since" in capsys.readouterr().out
    everything_is_accounted_for(pipeline)
    assert pipeline.stored(feedback)["value"] == 2


def test_a_create_that_is_sent_through_any_number_of_times_counts_once(pipeline: Pipeline) -> None:
    """As long as nothing is mended it is dead again each time; once it was let pass, more of it changes nothing."""
    trace, key = a_trace(), uuid.uuid4().hex
    trace_hash = murmur2(ids.trace_key("default", trace))
    partition, feedback = ids.partition_of(trace_hash, 4), str(ids.idempotent_id(trace_hash, "default", key))
    claimed = {"idempotency_key": key, "idempotency_digest": "0" * 32}
    created = {
        "event": "create", "workspace": "default", "feedback_id": feedback, "trace_id": trace, "value": 3, "weight": 1,
        "metadata": {}, "created_at": datetime.now(UTC).isoformat(), **claimed,
    }  # fmt: skip
    other = created | {"feedback_id": str(ids.idempotent_id(trace_hash, "default", "other")), "value": 4}
    other["idempotency_digest"] = "1" * 32
    for event in (created, other):
        pipeline.produce(FEEDBACK_EVENTS, partition, json.dumps(event).encode())
    letters = f"SELECT DISTINCT sequence FROM feedback.dead_letters WHERE feedback_id = '{other['feedback_id']}'"
    until(lambda: pipeline.sql(letters), "the key's second call is dead")
    place = f"{FEEDBACK_EVENTS}/{partition}/{pipeline.sql(letters)[0]['sequence']}"
    for sent in (2, 3):
        assert cli.main(["dead", "redrive", place, "--again"]) == 0
        until(lambda n=sent: len(pipeline.sql(letters)) == n, "it is dead again, for nothing was mended")  # type: ignore[misc]
    until(pipeline.is_settled, "none of it will be read, and judged, again")
    pipeline.sql_client.command(
        "ALTER TABLE feedback.idempotency_keys DELETE WHERE idempotency_key = {k:String} SETTINGS mutations_sync = 2",
        {"k": key},
    )
    for _ in range(2):
        assert cli.main(["dead", "redrive", place, "--again"]) == 0
    until(lambda: pipeline.stored(other["feedback_id"]), "the key is free again, and it is stored")
    everything_is_accounted_for(pipeline)
    assert pipeline.aggregate(trace)["feedback_count"] == 2
    assert pipeline.aggregate(trace)["value_weight_sum"] == 7


def test_what_waits_for_long_is_orphaned_reported_and_joins_all_the_same(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = a_trace()
    trace_hash = murmur2(ids.trace_key("default", trace))
    feedback = str(ids.new_id(trace_hash, 1_780_000_000_000))
    created = {
        "event": "create", "workspace": "default", "feedback_id": feedback, "trace_id": trace, "value": 1, "weight": 1,
        "metadata": {}, "created_at": (datetime.now(UTC) - timedelta(hours=200)).isoformat(),
    }  # fmt: skip
    pipeline.produce(FEEDBACK_EVENTS, ids.partition_of(trace_hash, 4), json.dumps(created).encode())
    until(lambda: pipeline.stored(feedback).get("join_state") == "orphaned", "it is orphaned after 168 hours")
    receipt = requests.get(f"{pipeline.url}/v1/feedback/{feedback}", timeout=30).json()
    assert receipt["feedback"]["join_state"] == "orphaned"
    capsys.readouterr()
    assert cli.main(["orphans"]) == 0
    assert any("7 d to 30 d" in line and trace in line for line in capsys.readouterr().out.splitlines())
    try:
        apply_settings(pipeline.engines.clickhouse, {"FEEDBACK_ORPHAN_AFTER_HOURS": "300"})
        assert pipeline.stored(feedback)["join_state"] == "pending"
    finally:
        apply_settings(pipeline.engines.clickhouse, {})
    pipeline.request(trace)
    until(lambda: pipeline.stored(feedback).get("join_state") == "joined", "it joins")


@pytest.mark.parametrize(
    ("command", "code", "output"),
    [
        (["orphans", "--workspace", "defualt"], 1, "There is no workspace 'defualt'"),
        (["reconcile", "--workspace", "defualt"], 1, "Did you mean default?"),
        (["erase", "--workspace", "defualt", "--user", "ada"], 1, "There are: default"),
        (["erase", "--user", "nobody at all"], 0, "Nothing names the user 'nobody at all' in the workspace 'default'"),
        (["erase", "--user", ""], 1, "--user must not be empty"),
        (["dead", "list", "--reason", "not-json"], 1, "There is no reason 'not-json'. There are: deleted_feedback, "),
        (["dead", "redrive"], 1, "Say which letters"),
        (["dead", "redrive", "request.logs.v1/0/1", "--reason", "invalid"], 1, "places of letters, or --reason"),
        (["dead", "redrive", "--reason", "not-json"], 1, "There is no reason 'not-json'"),
        (["dead", "list", "--topic", "feedback.events"], 2, "invalid choice: 'feedback.events'"),
        (["dead", "redrive", "--topic", "feedback.events"], 2, "invalid choice: 'feedback.events'"),
        (["dead", "show", "feedback.events/0/1"], 2, "unknown topic 'feedback.events'"),
        (
            ["dead", "show", f"{FEEDBACK_EVENTS}/0/99999999"],
            1,
            "There is no dead letter at feedback.events.v1/0/99999999",
        ),
        (["dead", "redrive", f"{FEEDBACK_EVENTS}/0/99999999"], 1, "There is no dead letter at"),
        (["dead", "show", f"{FEEDBACK_EVENTS}/0/-1"], 2, "is not a dead letter's place"),
        (["dead", "show", f"{FEEDBACK_EVENTS}/65536/1"], 2, "is not a dead letter's place"),
        (["dead", "show", f"{FEEDBACK_EVENTS}/0/18446744073709551616"], 2, "is not a dead letter's place"),
        (["dead", "list", "--limit", "99999999999"], 2, "is not a number from 1 to 100000"),
        (["dead", "list", "--since", "0001-01-01T00:00+23:59"], 2, "is not a time"),
        (["reconcile", "--since", "2300-01-01"], 2, "is not between 1970 and 2099"),
        (["reconcile", "--since", "2026-02-01", "--until", "2026-01-01"], 1, "--since must be before --until"),
        (["keys", "revoke", "0123456789ab"], 1, "There is no API key 0123456789ab"),
        (["keys", "revoke", "fbk_0123456789ab_secret"], 2, "not a key id"),
        (["keys", "create", "--scope", "admin", "--workspace", "a b"], 2, "'a b' is not a workspace"),
        (["migrate", "--to", "9999"], 1, "There is no migration 9999"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_name_that_is_none_is_said(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], command: list[str], code: int, output: str
) -> None:
    assert cli.main(command) == code
    out, err = capsys.readouterr()
    assert output in out + err
    assert "secret" not in out + err
    assert not (code and out), "a command that is refused says nothing else"


def test_an_engine_that_is_away_is_one_sentence_and_exit_1(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEEDBACK_CLICKHOUSE_URL", "http://default:s3cret@127.0.0.1:1")
    for command in (["orphans"], ["dead", "list"]):
        assert cli.main(command) == 1
        told = capsys.readouterr().err
        assert told == "feedback: ClickHouse at http://127.0.0.1:1 does not answer: is it running there?\n"
    monkeypatch.setenv("FEEDBACK_CLICKHOUSE_URL", pipeline.engines.clickhouse)
    monkeypatch.setenv("FEEDBACK_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    assert cli.main(["audit"]) == 1
    assert "Kafka at 127.0.0.1:1 does not answer" in capsys.readouterr().err
