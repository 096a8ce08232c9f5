"""Evaluations become feedback, by a scale that is set and never by rounding unasked, as log records and in spans."""

import gzip
import json
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from ingest_api.otlp.evaluation_scores import scales_in
from ingest_api.settings import Settings
from runtime.api_key_authentication import Caller
from runtime.http_errors import ApiError
from stream_workers.join.decode import decode_event
from tests.unit.ingest_api.otlp_edge import (
    CALL,
    SPAN,
    START_NS,
    TRACE,
    Json,
    OtlpEdge,
    add_attributes,
    export,
    in_json,
    span,
)
from tests.unit.ingest_api.test_otlp_answers import left_out_counts, partial

JSON, PROTOBUF = "application/json", "application/x-protobuf"
LOGS, TRACES = "/v1/logs", "/v1/traces"
EVENT = "gen_ai.evaluation.result"
GOOD: Json = {"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.value": 1.0}


def record(attributes: Json, **fields: Any) -> Any:
    made = LogRecord(**({"trace_id": TRACE, "span_id": SPAN, "time_unix_nano": START_NS, "event_name": EVENT} | fields))
    add_attributes(made.attributes, attributes)
    return made


def logs(*records: Any, resource: Json | None = None) -> Any:
    made = ExportLogsServiceRequest()
    of_resource = made.resource_logs.add()
    add_attributes(of_resource.resource.attributes, resource or {})
    of_resource.scope_logs.add().log_records.extend(records)
    return made


async def feedback(edge: OtlpEdge, *records: Any, resource: Json | None = None) -> list[Json]:
    """The events of an export of log records, the same in both encodings, each as a worker takes it."""
    message = logs(*records, resource=resource)
    assert await edge.send(LOGS, message.SerializeToString()) == (200, b"")
    for each in edge.recorder.records:
        decode_event(each.topic, each.value)
    found = edge.events
    assert await edge.send(LOGS, in_json(message), JSON) == (200, b"{}")
    assert edge.events == found, "in both encodings, and again when it is repeated"
    return found


async def test_an_evaluation_in_a_log_record_becomes_feedback() -> None:
    attributes = GOOD | {"gen_ai.evaluation.explanation": "to the point", "gen_ai.evaluation.score.label": "pass",
                         "user.id": "judge", "gen_ai.response.id": "r1"}  # fmt: skip
    (one,) = await feedback(OtlpEdge(), record(attributes), resource={"deployment.environment.name": "staging"})
    assert one.pop("feedback_id")[14] == "8"
    assert one == {
        "event": "create",
        "workspace": "default",
        "trace_id": TRACE.hex(),
        "value": 1,
        "weight": 1.0,
        "metadata": {
            "gen_ai.evaluation.name": "relevance",
            "gen_ai.evaluation.score.value": 1.0,
            "gen_ai.evaluation.explanation": "to the point",
            "gen_ai.evaluation.score.label": "pass",
            "gen_ai.response.id": "r1",
            "comment": "to the point",
            "span_id": SPAN.hex(),
            "_user": "judge",
            "_environment": "staging",
        },
        "home_environment": "staging",
        "created_at": "2026-01-31T12:00:00.123Z",
        "_user": "judge",
        "_environment": "staging",
    }


async def test_an_evaluation_within_a_span_is_the_same_feedback_as_in_a_log_record() -> None:
    edge = OtlpEdge()
    (alone,) = await feedback(edge, record(GOOD))
    for attributes, requests in ((CALL, 1), ({"http.route": "/"}, 0)):
        message = export(span(attributes, events=[(EVENT, GOOD), ("other", {})]))
        assert await edge.send(TRACES, message.SerializeToString()) == (200, b"")
        events = {event["event"]: event for event in edge.events}
        assert len(events) == requests + 1
        assert events["create"] == alone


async def test_the_name_of_the_event_may_be_an_attribute() -> None:
    assert await feedback(OtlpEdge(), record(GOOD | {"event.name": EVENT}, event_name=""))


async def test_evaluations_that_differ_in_anything_are_several() -> None:
    records = [record(GOOD), record(GOOD, time_unix_nano=START_NS + 1), record(GOOD, span_id=b"12345678"),
               record(GOOD | {"gen_ai.evaluation.name": "tone"}), record(GOOD)]  # fmt: skip
    ids = [one["feedback_id"] for one in await feedback(OtlpEdge(), *records)]
    assert len({*ids}) == 4
    assert ids[0] == ids[4]


async def test_other_log_records_are_accepted_and_not_kept() -> None:
    before = left_out_counts()["not_kept"]
    assert await feedback(OtlpEdge(), record({}, event_name="gen_ai.choice"), record({}, event_name="")) == []
    assert left_out_counts()["not_kept"] == before + 4


@pytest.mark.parametrize(
    ("attributes", "fields", "reason", "says"),
    [
        (GOOD, {"trace_id": b""}, "trace_id", "trace_id must be 16 bytes"),
        ({"gen_ai.evaluation.score.label": "pass"}, {}, "score", "score.value is required"),
        (GOOD | {"gen_ai.evaluation.score.value": "1"}, {}, "score", "must be a number"),
        (GOOD | {"gen_ai.evaluation.score.value": True}, {}, "score", "must be a number"),
        (GOOD | {"gen_ai.evaluation.score.value": float("nan")}, {}, "score", "must be a number"),
        (GOOD | {"gen_ai.evaluation.score.value": 0.83}, {}, "score", "FEEDBACK_EVALUATION_SCORES"),
        (GOOD | {"gen_ai.evaluation.score.value": 11}, {}, "score", "must be an integer from -10 to 10"),
        (GOOD | {"note": "a\0b"}, {}, "nul", "NUL"),
        (GOOD | {"note": "x" * 70_000}, {}, "metadata", "at most 65536 bytes"),
    ],
)
async def test_an_evaluation_that_does_not_fit_is_rejected_alone_and_counted(
    attributes: Json, fields: Json, reason: str, says: str
) -> None:
    edge, before = OtlpEdge(), left_out_counts()[reason]
    message = logs(record(attributes, **fields), record(GOOD))
    status, body = await edge.send(LOGS, message.SerializeToString())
    told = ExportLogsServiceResponse.FromString(body).partial_success
    assert (status, told.rejected_log_records) == (200, 1)
    assert says in told.error_message
    assert (len(edge.events), left_out_counts()[reason]) == (1, before + 1)
    if not fields:
        message = export(span(events=[(EVENT, attributes), (EVENT, GOOD)]))
        status, body = await edge.send(TRACES, message.SerializeToString())
        rejected, error = partial(body)
        assert (status, rejected) == (200, 0), "the span itself is accepted"
        assert says in error
        assert [event["event"] for event in edge.events] == ["request", "create"]


async def test_a_key_that_may_not_give_feedback_gives_none(monkeypatch: pytest.MonkeyPatch) -> None:
    caller = Caller("default", frozenset({"logs.write"}))
    monkeypatch.setattr("ingest_api.access.access_control.AccessControl.admit", lambda *_: (caller, None))
    edge = OtlpEdge()
    _, body = await edge.send(LOGS, logs(record(GOOD)).SerializeToString())
    assert "lacks the scope feedback.write" in ExportLogsServiceResponse.FromString(body).partial_success.error_message
    await edge.send(TRACES, export(span(events=[(EVENT, GOOD)])).SerializeToString())
    assert [event["event"] for event in edge.events] == ["request"]


async def test_requests_in_json_are_taken_at_the_same_path_as_before() -> None:
    edge = OtlpEdge()
    status, body = await edge.send(LOGS, b'{"request":{},"response":{},"resourceLogs":1}', JSON)
    assert (status, json.loads(body)["status"]) == (200, "success")
    status, body = await edge.send(LOGS, b'{"request":{}}', JSON)
    assert (status, json.loads(body)["message"]) == (400, "response is required")
    status, body = await edge.send(LOGS, b' { "resourceLogs" : 5 }', JSON)
    assert (status, json.loads(body)) == (400, {"code": 3, "message": "resourceLogs must be an array, got 5"})


async def test_compressed_log_records_are_read_and_compressed_requests_refused_as_before() -> None:
    edge = OtlpEdge(max_unpacked_bytes=100_000)
    for body, kind in ((logs(record(GOOD)).SerializeToString(), PROTOBUF), (in_json(logs(record(GOOD))), JSON)):
        assert (await edge.send(LOGS, gzip.compress(body), kind, content_encoding="gzip"))[0] == 200
        assert len(edge.events) == 1
    for body, status in ((b'{"request":{},"response":{}}', 400), (bytes(1_000_000), 413)):
        answered, answer = await edge.send(LOGS, gzip.compress(body), JSON, content_encoding="gzip")
        assert (answered, edge.events) == (status, [])
        assert json.loads(answer)["status"] == "failure"


@pytest.mark.parametrize(
    ("setting", "name", "score", "value"),
    [
        ("0..1", "any", 0, -10), ("0..1", "any", 1.0, 10), ("0..1", "any", 0.5, 0), ("0..1", "any", 0.83, 7),
        ("0..1", "any", 1.01, None), ("0..1", "any", -0.01, None), ("1..0", "any", 0.0, 10),
        ("0..1,toxicity=1..0", "toxicity", 1, -10), ("0..1, toxicity=1..0", "other", 1, 10),
        ("stars=1..5", "stars", 4, 5), ("stars=1..5", "other", 4, 4), ("stars=1..5", "other", 4.5, None),
        ("-1..1", "any", -0.5, -5), ("", "any", -10.0, -10), ("", "any", 10, 10), ("", "any", 0.5, None),
    ],
)  # fmt: skip
def test_scores_become_values_by_their_scale(setting: str, name: str, score: float, value: int | None) -> None:
    scales = scales_in(setting)
    if value is None:
        with pytest.raises(ApiError, match="score"):
            scales.value_of(name, score)
    else:
        assert scales.value_of(name, score) == value


@pytest.mark.parametrize("setting", ["0", "0..0", "a..b", "0..1,0..2", "x=", "1e3..2", "0...1"])
def test_a_faulty_scale_is_refused_at_the_start(setting: str) -> None:
    with pytest.raises(ValueError, match="must "):
        Settings(evaluation_scores=setting)


async def test_the_scale_that_is_set_is_used_and_the_score_stays_as_it_was() -> None:
    (one,) = await feedback(OtlpEdge(evaluation_scores="0..1"), record(GOOD | {"gen_ai.evaluation.score.value": 0.83}))
    assert (one["value"], one["metadata"]["gen_ai.evaluation.score.value"]) == (7, 0.83)
