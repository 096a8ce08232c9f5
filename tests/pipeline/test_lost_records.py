"""Records that Kafka drops before a worker has read them: told at once, and counted until somebody acknowledges it.

On Apache Kafka alone, which can be told to drop records as it does when their time is over.
"""

import asyncio
from collections.abc import Iterator

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from deploy import cli
from deploy.offsets import end_offsets
from schemas import ids
from schemas.murmur2 import murmur2
from schemas.topics import FEEDBACK_EVENTS
from tests.pipeline.engines import PARTITIONS, kafka, until
from tests.pipeline.running import Pipeline, scraped

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with kafka(tmp_path_factory.mktemp("kafka")) as engines:
        engines.prepare()
        with Pipeline(engines, tmp_path_factory.mktemp("pipeline")) as pipeline:
            yield pipeline


@pytest.fixture(autouse=True)
def environment(lossy: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in lossy.engines.environment.items():
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
