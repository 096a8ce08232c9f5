"""Records that Kafka drops before a worker has read them: told at once, and counted until somebody acknowledges it. And
what is done with workers stopped: reading records again, and undoing migrations. First, topics that appear late.

On an Apache Kafka of their own, which is told to drop records as it does when their time is over.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from deploy import cli
from operations.migrate import Migration, Step, migrations, planned, removed
from operations.topics import create_topics
from runtime.kafka_offsets import end_offsets, start_offsets
from schemas import ids
from schemas.murmur2 import murmur2
from schemas.topics import FEEDBACK_EVENTS, INPUTS
from tests.pipeline.engines import PARTITIONS, Engines, kafka, until
from tests.pipeline.running import Pipeline, scraped
from tests.pipeline.stream_workers.test_started_early import assigned, programs, read_all

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """Without topics."""
    with kafka(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture(scope="module")
def lossy(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    engines.prepare()
    with Pipeline(engines, tmp_path_factory.mktemp("pipeline")) as pipeline:
        yield pipeline


@pytest.fixture(autouse=True)
def environment(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in engines.environment.items():
        monkeypatch.setenv(name, value)


def drop(pipeline: Pipeline, partition: int, before: int) -> None:
    """Have Kafka drop the feedback events of this partition before this offset."""

    async def delete() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=pipeline.engines.kafka)
        await admin.start()
        try:
            await admin.delete_records({TopicPartition(FEEDBACK_EVENTS, partition): RecordsToDelete(before)})
        finally:
            await admin.close()

    asyncio.run(delete())


def end_of(pipeline: Pipeline, partition: int) -> int:
    return asyncio.run(end_offsets(pipeline.engines.kafka, [FEEDBACK_EVENTS]))[FEEDBACK_EVENTS, partition]


def audited(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, int, str]:
    """The exit code of an audit, its difference, and all it says."""
    capsys.readouterr()
    code = cli.main(["audit", *options])
    told = capsys.readouterr().out
    (total,) = [line for line in told.splitlines() if line.startswith("all ")]
    return code, int(total.split()[-1]), told


def trace_in(partition: int) -> str:
    return next(
        trace
        for trace in map("trace-{}".format, range(1000))
        if ids.partition_of(murmur2(ids.trace_key("default", trace)), PARTITIONS) == partition
    )


def logged(pipeline: Pipeline) -> str:
    return pipeline.workers[0].log.read_text()


def test_programs_read_topics_that_appear_after_they_have_joined(engines: Engines, tmp_path: Path) -> None:
    # The embedded broker makes a topic when somebody asks for it.
    with programs(engines, tmp_path) as logs:
        until(lambda: all(assigned(log) == 0 for log in logs.values()), "all have joined, with nothing to read")
        asyncio.run(create_topics(engines.kafka, PARTITIONS))
        until(lambda: read_all(logs), "all partitions are read", 60)


def test_what_no_worker_has_ever_read_is_lost_when_it_is_gone(
    lossy: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    lossy.workers[0].stop()
    for _ in range(5):
        lossy.feedback(trace_in(1), 1)
    drop(lossy, 1, 5)
    assert audited(capsys)[:2] == (1, 5), "no worker has come to see it"
    lossy.workers[0].start()
    until(lambda: "5 records of feedback.events.v1/1 were gone from Kafka" in logged(lossy), "the worker says so")
    until(lossy.is_settled, "and goes on")
    code, difference, told = audited(capsys, "--acknowledge", "--note", "a drill")
    assert (code, difference) == (0, 5)
    assert "5 lost records are acknowledged from now on" in told
    assert audited(capsys)[:2] == (0, 0)


def test_a_loss_is_counted_however_much_is_committed_after_it_until_it_is_acknowledged(
    lossy: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = trace_in(2)
    for _ in range(3):
        lossy.feedback(trace, 1)
    until(lossy.is_settled, "three are stored")
    lossy.workers[0].stop()
    for _ in range(39):
        lossy.feedback(trace, 2)
    drop(lossy, 2, end_of(lossy, 2))
    kept = [lossy.feedback(trace, 3) for _ in range(2)]
    assert audited(capsys)[:2] == (1, 39)
    lossy.workers[0].start()
    until(lambda: all(lossy.stored(each) for each in kept), "what was left is stored")
    for _ in range(2):
        lossy.feedback(trace, 4)
        until(lossy.is_settled, "and what comes after")
        code, difference, told = audited(capsys)
        assert (code, difference) == (1, 39)
        assert (
            f"{FEEDBACK_EVENTS}/2: 39 records were gone from Kafka before a worker read them, among sequences" in told
        )
    url = lossy.metrics_urls[lossy.workers[0]]
    assert scraped(url)["feedback_worker_records_lost_total", FEEDBACK_EVENTS] == 39
    assert "39 records of feedback.events.v1/2 were gone from Kafka" in logged(lossy)
    assert audited(capsys, "--acknowledge")[:2] == (0, 39)
    code, difference, told = audited(capsys)
    assert (code, difference) == (0, 0)
    assert f"{FEEDBACK_EVENTS}/2: 39 lost records are acknowledged" in told

    lossy.workers[0].stop()
    lossy.feedback(trace, 5)
    drop(lossy, 2, end_of(lossy, 2))
    assert audited(capsys)[:2] == (1, 1), "a new loss counts, and the old one no longer"
    lossy.workers[0].start()
    until(lossy.is_settled, "it is committed although nothing follows")
    assert audited(capsys)[:2] == (1, 1)
    assert audited(capsys, "--acknowledge")[:2] == (0, 1)


def test_what_was_stored_before_it_was_dropped_is_not_lost_whoever_reads_it_again(
    lossy: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(4):
        lossy.feedback(trace_in(3), 1)
    until(lossy.is_settled, "they are stored")
    drop(lossy, 3, end_of(lossy, 3) - 1)
    another = lossy.add_worker(FEEDBACK_CONSUMER_GROUP="another")
    try:
        until(lambda: scraped(lossy.metrics_urls[another])["feedback_consumer_commits_total",], "it has read the rest")
    finally:
        another.stop()
    for group in ("feedback-workers", "another"):
        assert audited(capsys, "--group", group)[:2] == (0, 0)
    assert "gone from Kafka" not in another.log.read_text()


def views(pipeline: Pipeline) -> list[object]:
    """All that the views show and the topics hold."""
    tables = ("feedback.feedback", "feedback.request_logs", "feedback.trace_aggregates", "feedback.dead_letters")
    rows = [pipeline.sql(f"SELECT * FROM {name}{' FINAL' if 'dead' in name else ''} ORDER BY ALL") for name in tables]
    return [*rows, pipeline.topic("feedback.enriched.v1"), pipeline.topic("trace.aggregates.v1")]


def test_replaying_is_refused_while_workers_run_shown_before_it_is_done_and_changes_nothing(
    lossy: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    edited, deleted = lossy.feedback("replayed", 1), lossy.feedback("replayed", 5)
    lossy.request("replayed")
    requests.put(f"{lossy.url}/v1/feedback/{edited}", json={"value": 3}, timeout=30).raise_for_status()
    requests.delete(f"{lossy.url}/v1/feedback/{deleted}", timeout=30).raise_for_status()
    lossy.produce(FEEDBACK_EVENTS, 0, b"poison")
    until(lossy.is_settled, "all is stored")
    before = views(lossy)
    everything = ["replay", "--from-time", "2020-01-01"]

    def replay(*options: str) -> tuple[int, str]:
        capsys.readouterr()
        code = cli.main([*everything, *options])
        told = capsys.readouterr()
        return code, told.out + told.err

    code, told = replay("--dry-run")
    assert code == 0
    assert "nothing was changed" in told
    with lossy.rollup():
        code, told = replay("--yes")
        assert code == 1
        assert "1 program is in the group feedback-workers. Stop them first" in told
        lossy.workers[0].stop()
        code, told = replay()
        assert code == 1
        assert "add --yes" in told
        assert lossy.is_settled(), "nothing was changed so far"
        code, told = replay("--yes")
        assert (code, lossy.is_settled()) == (0, False)
        records = sum(lossy.accepted().values()) - dropped(lossy)
        assert f"they read {records} records again" in told
        lossy.workers[0].start()
        until(lossy.is_settled, "all is read again")
        assert scraped(lossy.metrics_urls[lossy.workers[0]])["feedback_consumer_batch_records_sum",] == records
        assert views(lossy) == before
        assert audited(capsys)[:2] == (0, 0)
        until(lambda: cli.main(["reconcile", "--settle", "0"]) == 0, "hours and days agree as well")


def dropped(pipeline: Pipeline) -> int:
    return sum(asyncio.run(start_offsets(pipeline.engines.kafka, INPUTS)).values())


def test_a_replay_brings_back_what_clickhouse_has_lost_and_never_goes_forward(
    lossy: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = trace_in(2)
    feedback = lossy.feedback(trace, 7)
    until(lossy.is_settled, "it is stored")
    (row,) = lossy.sql("SELECT sequence FROM feedback.journal WHERE id = {id:UUID}", id=feedback)
    for table, column in (("journal", "id"), ("feedback_rows", "feedback_id")):
        lossy.sql_client.command(
            f"ALTER TABLE feedback.{table} DELETE WHERE {column} = '{feedback}' SETTINGS mutations_sync = 2"
        )
    assert audited(capsys)[:2] == (1, 1)
    lossy.workers[0].stop()
    place = ["replay", "--topic", FEEDBACK_EVENTS, "--partition", "2", "--from-offset"]
    assert cli.main([*place, str(row["sequence"] + 1), "--yes"]) == 0
    assert "Nothing to read again" in capsys.readouterr().out
    assert cli.main([*place, "0", "--dry-run"]) == 0
    gone = asyncio.run(start_offsets(lossy.engines.kafka, [FEEDBACK_EVENTS]))[FEEDBACK_EVENTS, 2]
    assert f"{FEEDBACK_EVENTS}/2: {gone} records from there on are gone from Kafka" in capsys.readouterr().out
    assert cli.main([*place, str(row["sequence"]), "--yes"]) == 0
    assert "they read 1 records again" in capsys.readouterr().out
    lossy.workers[0].start()
    until(lossy.is_settled, "it is read again")
    assert lossy.stored(feedback)["value"] == 7
    assert audited(capsys)[:2] == (0, 0)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--from-offset", "1"], "--from-offset goes with --topic and --partition"),
        (["--from-offset", "1", "--topic", FEEDBACK_EVENTS, "--partition", "77"], "There is no partition 77: give one"),
        (["--from-time", "2026-01-31", "--group", "nobody's"], "The group nobody's has committed nothing in Kafka"),
    ],
)
def test_a_replay_of_what_is_not_there_is_refused(
    lossy: Pipeline, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    assert cli.main(["replay", *options, "--yes"]) == 1
    assert told in capsys.readouterr().err


def test_what_undoing_removes_is_told_with_its_rows(lossy: Pipeline, tmp_path: Path) -> None:
    steps = {each.name: Step(each, undo=True) for each in migrations()}
    rows = lossy.count("SELECT count() FROM feedback.lost_records")
    assert rows > 0
    assert removed(lossy.sql_client, steps["lost_records"]) == [f"removes table lost_records with {rows} rows"]
    assert removed(lossy.sql_client, steps["rollups"]) == []
    down = tmp_path / "0901_note.down.sql"
    down.write_text("ALTER TABLE feedback.dead_letters DROP COLUMN IF EXISTS note;\n")
    step = Step(Migration(901, "note", down, down), undo=True)
    assert removed(lossy.sql_client, step) == ["removes column note of dead_letters"]


def test_going_down_a_version_is_shown_asked_for_and_refused_while_workers_run(
    lossy: Pipeline, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, newest = (each.version for each in migrations()[-2:])

    def migrate(*options: str) -> tuple[int, str]:
        code = cli.main(["migrate", "--to", str(before), *options])
        told = capsys.readouterr()
        return code, told.out + told.err

    code, told = migrate("--yes")
    assert code == 1
    assert f"would undo {newest:04d}_" in told
    assert "1 program is in the group feedback-workers" in told
    lossy.workers[0].stop()
    try:
        code, told = migrate()
        assert code == 1
        assert "add --yes" in told
        monkeypatch.setattr("sys.stdin.isatty", lambda: True)
        monkeypatch.setattr("sys.stdin.readline", lambda: "n\n")
        code, told = migrate()
        assert code == 1
        assert "Undo all of it? [y/N] Nothing was changed." in told
        assert not planned(lossy.engines.clickhouse), "nothing was changed so far"
        code, told = migrate("--yes")
        assert code == 0
        assert f"undone {newest:04d}_" in told
        assert planned(lossy.engines.clickhouse)
    finally:
        assert cli.main(["migrate"]) == 0
        lossy.workers[0].start()
