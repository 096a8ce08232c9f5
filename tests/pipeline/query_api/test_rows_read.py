"""What a question reads grows with what it asks for, not with all that is stored: counted in rows, by ClickHouse."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from aiokafka.structs import ConsumerRecord
from clickhouse_connect.driver.asyncclient import AsyncClient

from schemas.ids import new_id, trace_key
from schemas.murmur2 import murmur2
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS
from tests.pipeline.query_api.analytics_world import World
from tests.pipeline.stream_workers.stored_histories import store_records

TABLES = ("request_log_rows", "feedback_rows", "trace_aggregate_rows")
TRACES = 200_000
HOUR = {"time_of_generation_min": "2024-05-10T00:00:00Z", "time_of_generation_max": "2024-05-10T01:00:00Z"}
"""One of some 4,400, with 45 requests, whose traces stand near each other: granules of requests have 1,024 rows."""
MOST = 2 * TRACES // 3


@pytest.fixture(scope="module")
def stored(world: World) -> Iterator[World]:
    """Half a year of requests, one on each of many traces, and these traces' numbers; feedback of three months."""
    at = f"toDateTime64('2024-01-01 00:00:00', 3, 'UTC') + toIntervalSecond(number * {184 * 86_400 // TRACES})"
    trace = "'default', concat('old-', leftPad(toString(number), 9, '0'))"
    for table, columns, values in (
        (
            "request_log_rows",
            "request_id, started_at, received_at, status, metadata, sequence",
            f"generateUUIDv4(number), {at}, {at}, 500, '{{}}', 1",
        ),
        (
            "feedback_rows",
            "feedback_id, created_at, updated_at, value, weight, join_state, metadata, home_environment, version",
            f"generateUUIDv4(number), {at}, {at}, 1, 1, 'joined', '{{\"source\":\"form\"}}', 'other', 1",
        ),
        ("trace_aggregate_rows", "feedback_count, weight_sum, value_weight_sum, version", "1, 1, 1, 1"),
    ):
        world.client.command(
            f"INSERT INTO feedback.{table} (workspace, trace_id, {columns})"
            f" SELECT {trace}, {values} FROM numbers({TRACES // 2 if table == 'feedback_rows' else TRACES})"
        )
    for table in TABLES:
        world.client.command(f"OPTIMIZE TABLE feedback.{table} FINAL")
    yield world
    for table in TABLES:
        world.client.command(f"DELETE FROM feedback.{table} WHERE startsWith(trace_id, 'old-')")


@contextmanager
def rows_read() -> Iterator[Callable[[], int]]:
    """How many rows ClickHouse has read for all that was asked inside."""
    read: list[int] = []
    query = AsyncClient.query

    async def counting(self: AsyncClient, *given: Any, **named: Any) -> Any:
        result = await query(self, *given, **named)
        read.append(int(result.summary["read_rows"]))
        return result

    with patch.object(AsyncClient, "query", counting):
        yield lambda: sum(read)


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("analytics/groups/metadata/_user", {}),
        ("analytics/groups/metadata/_user", {"weighted_feedback_min": "0"}),
        ("analytics/groups/feedback-metadata/_user", {}),
        ("analytics/groups/feedback", {"by": "metadata.plan"}),
        ("analytics/graphs/feedbacks/intervals", {}),
        ("analytics/groups/feedback-metadata/_user", {"weighted_feedback_min": "0"}),
        ("analytics/graphs/feedbacks", {"weighted_feedback_min": "0"}),
        ("analytics/graphs/feedbacks/scores", {"read_from": "rows"}),
        ("analytics/comparison", {"baseline_user": "u"}),
        ("analytics/graphs/latency", {"weighted_feedback_min": "0"}),
        ("analytics/graphs/errors/stacks", {}),
        ("analytics/groups/users", {}),
        ("logs", {}),
        ("logs", {"weighted_feedback_min": "0"}),
        ("logs", {"has_feedback": "false"}),
        ("logs", {"order_by": "cost"}),
        ("logs", {"order_by": "weighted_mean"}),
        ("logs/facets", {"fields": "ai_model,user,metadata,metadata.plan", "user": "u"}),
        ("feedback", {"weighted_feedback_max": "0"}),
        ("feedback", {"order": "worst"}),
        ("feedback/facets", {"fields": "ai_model,user,value,metadata"}),
    ],
)
def test_an_hour_of_half_a_year_reads_a_small_part_of_it(stored: World, path: str, more: dict[str, str]) -> None:
    with rows_read() as read:
        reply = stored.runner.run(stored.api.get(f"/v1/{path}", params={**HOUR, **more}))
    assert reply.status_code == 200, reply.text
    assert read() < MOST, f"{read()} rows"


def test_after_a_quiet_night_a_page_still_reads_few_traces(stored: World) -> None:
    """The last request came 21 hours before the end of the time that is asked for."""
    with rows_read() as read:
        query = {"weighted_feedback_min": "0", "time_of_generation_max": "2024-07-02T18:00:00Z"}
        reply = stored.runner.run(stored.api.get("/v1/logs", params=query))
    assert len(reply.json()["data"]) == 50
    assert read() < MOST, f"{read()} rows"


def test_after_a_quiet_night_feedback_by_status_is_sought_where_the_last_came(stored: World) -> None:
    """Each of two windows reads the status of all requests; the second would be all time if the night did not count."""
    with rows_read() as read:
        query = {"status_code": "500", "time_of_generation_max": "2024-04-01T18:00:00Z"}
        reply = stored.runner.run(stored.api.get("/v1/feedback", params=query))
    assert len(reply.json()["data"]) == 50
    assert read() < 2.1 * TRACES, f"{read()} rows"


def test_reading_all_of_it_is_counted(stored: World) -> None:
    half_a_year = {"time_of_generation_min": "2024-01-01", "time_of_generation_max": "2024-08-01"}
    with rows_read() as read:
        found = stored.get("groups/metadata/_user", **half_a_year)
    assert found["data"][0]["requests"] == TRACES
    assert found["data"][0]["requests_with_feedback"] == TRACES
    assert read() > TRACES


def test_groups_of_few_requests_look_up_the_feedback_of_their_traces_alone_and_find_all_of_it(stored: World) -> None:
    with rows_read() as read:
        (group,) = stored.get("groups/metadata/_user", **HOUR)["data"]
    assert read() < MOST
    assert (group["requests"], group["requests_with_feedback"], group["feedback_count"]) == (45, 45, 45)
    assert (group["avg_weighted_feedback"], group["weighted_mean"]) == (1, 1)


def test_very_many_keys_are_not_sought_in_an_index(stored: World) -> None:
    def is_sought(keys: int) -> bool:
        sought = f"SELECT concat('old-', toString(number)) FROM numbers({keys})"
        query = f"SELECT count() FROM feedback.trace_aggregate_rows WHERE workspace = 'w' AND trace_id IN ({sought})"
        plan = stored.runner.run(stored.reader.rows(f"EXPLAIN indexes = 1 {query}"))
        return any("trace_id in" in row["explain"] for row in plan)

    assert is_sought(1_000)
    assert not is_sought(200_000)


@pytest.fixture(scope="module")
def old(stored: World) -> tuple[str, str, str]:
    """A request and a feedback on one trace, in the middle of the half year: the ids of all three."""
    trace, at = "old-judged", "2024-03-10T12:00:00.123Z"
    trace_hash = murmur2(trace_key("default", trace))
    request_id, feedback_id = (str(new_id(trace_hash, 1_710_072_000_123)) for _ in range(2))
    common = {"workspace": "default", "trace_id": trace}
    request = {
        "event": "request", "request_id": request_id, "started_at": at, "received_at": at,
        "metadata": {"batch": "b-7", "session": "s-7"}, **common,
    }  # fmt: skip
    feedback = {
        "event": "create", "feedback_id": feedback_id, "value": 3, "weight": 0.5, "created_at": at,
        "metadata": {"batch": "b-7", "form": "f-7"}, **common,
    }  # fmt: skip
    store_records(
        stored.client,
        {topic: [_record(topic, event)] for topic, event in ((REQUEST_LOGS, request), (FEEDBACK_EVENTS, feedback))},
    )
    return trace, request_id, feedback_id


def _record(topic: str, event: dict[str, Any]) -> Any:
    value = json.dumps(event).encode()
    return ConsumerRecord(topic, 0, 0, 0, 0, b"k", value, None, 1, len(value), ())


@pytest.mark.parametrize(
    ("path", "granules"),
    [
        ("logs?trace_id={0}", 6),
        ("logs/{1}", 6),
        ("traces/{0}", 8),
        ("feedback?trace_id={0}", 4),
        ("feedback/{2}", 4),
        ('logs?metadata={{"batch":"b-7"}}', 6),
        ('feedback?metadata={{"batch":"b-7"}}', 8),
        ('feedback?metadata={{"form":"f-7"}}', 8),
        ('feedback?metadata={{"session":"s-7"}}', 8),
    ],
)
def test_a_trace_of_months_ago_is_found_by_keys(
    stored: World, old: tuple[str, str, str], path: str, granules: int
) -> None:
    with rows_read() as read:
        reply = stored.runner.run(stored.api.get(f"/v1/{path.format(*old)}"))
    assert reply.status_code == 200, reply.text
    assert any(identity in reply.text for identity in old[1:])
    assert read() < granules * 1024, f"{read()} rows"
