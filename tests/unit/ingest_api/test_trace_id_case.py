"""Trace ids of OpenTelemetry join whatever the case of their digits; all other trace ids are told apart by case."""

import json

import pytest

from query_api.filters.parameters import filters_in
from schemas.ids import canonical_trace_id
from tests.unit.ingest_api.otlp_edge import TRACE, OtlpEdge, export, span

JSON = "application/json"
UPPER = bytes(range(0xA0, 0xB0)).hex().upper()


async def test_feedback_and_requests_are_on_the_trace_of_a_span_in_either_case() -> None:
    edge, trace = OtlpEdge(), bytes.fromhex(UPPER)
    await edge.send("/v1/traces", export(span(trace_id=trace)).SerializeToString())
    (of_span,) = edge.recorder.records
    for path, body in (
        ("/v1/feedback", {"trace_id": UPPER, "value": 1}),
        ("/v1/feedback", [{"traceID": UPPER, "value": 1, "metadata": '{"a":1}'}]),
        ("/v1/logs", {"trace_id": UPPER, "request": {}, "response": {}}),
        ("/v1/logs", {"metadata": {"traceId": UPPER}, "request": {}, "response": {}}),
    ):
        status, answer = await edge.send(path, json.dumps(body).encode(), JSON)
        assert status == 200, answer
        (event,), (record,) = edge.events, edge.recorder.records
        assert event["trace_id"] == UPPER.lower()
        assert (record.key, record.trace_hash) == (of_span.key, of_span.trace_hash)


@pytest.mark.parametrize("other", ["Request-4711", UPPER[:-1], UPPER + "A", UPPER[:-1] + "G", "É" * 32, "٣" * 32])
def test_other_trace_ids_stay_as_they_are(other: str) -> None:
    assert canonical_trace_id(other) == other


def test_a_filter_finds_both() -> None:
    assert {UPPER, "Mine", UPPER.lower()} <= {*filters_in({"trace_id": f"{UPPER},Mine"}, "w").texts["trace_id"]}
    assert filters_in({"trace_id": TRACE.hex()}, "w").texts["trace_id"] == (TRACE.hex(),)
