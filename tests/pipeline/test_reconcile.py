"""What is stored is compared with what was accepted; each kind of difference is found, told, and put right."""

from collections.abc import Iterator

import pytest
import requests

from deploy import cli
from tests.pipeline.engines import Engines, until
from tests.pipeline.running import Pipeline
from tests.pipeline.test_pipeline import a_trace


@pytest.fixture(scope="module")
def stored(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A pipeline whose workers have stored a little of everything, and have stopped."""
    with Pipeline(engines, tmp_path_factory.mktemp("reconcile")) as pipeline:
        traces = [a_trace() for _ in range(20)]
        made = pipeline.post(
            "/v1/feedback",
            [{"trace_id": t, "value": n % 9, "weight": 0.5, "metadata": {"_user": "r"}} for n, t in enumerate(traces)],
        )
        for trace in traces[:10]:
            pipeline.request(trace, "model-r")
        requests.put(f"{pipeline.url}/v1/feedback/{made[0]}", json={"value": -7}, timeout=30).raise_for_status()
        requests.delete(f"{pipeline.url}/v1/feedback/{made[1]}", timeout=30).raise_for_status()
        until(lambda: pipeline.accounted() == pipeline.accepted(), "every record is accounted for")
        until(lambda: cli.main(["audit", *addresses(pipeline, kafka=True)]) == 0, "all is committed")
        for worker in pipeline.workers:
            worker.kill()
        cli.main(["reconcile", "--repair", *addresses(pipeline)])  # hours that no rollup program has computed yet
        yield pipeline


def addresses(pipeline: Pipeline, *, kafka: bool = False) -> list[str]:
    return ["--clickhouse-url", pipeline.engines.clickhouse, *(["--bootstrap", pipeline.engines.kafka] * kafka)]


DAMAGES = {
    "feedback_rows missing": "ALTER TABLE feedback.feedback_rows DELETE WHERE trace_id = '{t}'",
    "feedback_rows wrong": "ALTER TABLE feedback.feedback_rows UPDATE value = 9 WHERE trace_id = '{t}'",
    "feedback_rows that the journal does not account for": (
        "INSERT INTO feedback.feedback_rows SELECT * REPLACE (generateUUIDv4() AS feedback_id)"
        " FROM feedback.feedback_rows WHERE trace_id = '{t}'"
    ),
    "trace_aggregate_rows missing": "ALTER TABLE feedback.trace_aggregate_rows DELETE WHERE trace_id = '{t}'",
    "trace_aggregate_rows wrong": (
        "INSERT INTO feedback.trace_aggregate_rows SELECT * REPLACE (toUInt32(77) AS feedback_count)"
        " FROM feedback.trace_aggregate_rows WHERE trace_id = '{t}'"
    ),
    "trace_aggregate_rows that the journal does not account for": (
        "INSERT INTO feedback.trace_aggregate_rows SELECT * REPLACE ('not a trace' AS trace_id)"
        " FROM (SELECT * FROM feedback.trace_aggregate_rows WHERE trace_id = '{t}')"
    ),
    "hours whose feedback_hour_rows are not": (
        "ALTER TABLE feedback.feedback_hour_rows DELETE WHERE feedback_id = '{f}'"
    ),
    "rollups of hours": (
        "INSERT INTO feedback.rollup_rows SELECT * REPLACE (toUInt64(77) AS feedback_count, version + 1 AS version)"
        " FROM feedback.rollup_rows WHERE period = 'hour'"
    ),
    "rollups of days": "ALTER TABLE feedback.rollup_rows DELETE WHERE period = 'day' AND dimension = 'user'",
}


@pytest.mark.parametrize("told", DAMAGES)
def test_each_kind_of_damage_is_found_and_put_right(
    stored: Pipeline, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (row,) = stored.sql(
        "SELECT trace_id AS t, toString(feedback_id) AS f FROM feedback.feedback WHERE _user = 'r' LIMIT 1"
    )
    damage = DAMAGES[told].format(**row) + (" SETTINGS mutations_sync = 2" if "ALTER" in DAMAGES[told] else "")
    before = stored.sql("SELECT * FROM feedback.feedback ORDER BY feedback_id")
    stored.sql_client.command(damage)
    capsys.readouterr()
    assert cli.main(["reconcile", *addresses(stored)]) == 1
    assert told in capsys.readouterr().out
    may_remove = ["--remove"] if "account for" in told else []
    if may_remove:
        assert cli.main(["reconcile", "--repair", *addresses(stored)]) == 1
        assert "add --remove" in capsys.readouterr().out
    assert cli.main(["reconcile", "--repair", *may_remove, *addresses(stored)]) == 0
    capsys.readouterr()
    assert cli.main(["reconcile", *addresses(stored)]) == 0
    assert "Nothing differs." in capsys.readouterr().out
    assert stored.sql("SELECT * FROM feedback.feedback ORDER BY feedback_id") == before
