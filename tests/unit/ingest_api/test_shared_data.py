"""What the items of a call share is stored with each of them, but not without end."""

import json
from typing import Any

import pytest

from ingest_api.validation import shared_data
from tests.unit.ingest_api.otlp_edge import CALL, OtlpEdge, export, in_json, span

MARK = "x" * 1000


@pytest.fixture(autouse=True)
def _little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_data, "MOST_BYTES", 5_500)


def stored(edge: OtlpEdge) -> int:
    return sum(MARK in record.value.decode() for record in edge.recorder.records)


def calls(number: int, **fields: Any) -> list[Any]:
    return [span(CALL, span_id=each.to_bytes(8, "big"), **fields) for each in range(1, number + 1)]


@pytest.mark.parametrize("kind", ["application/x-protobuf", "application/json"])
async def test_spans_beyond_the_room_are_rejected_and_the_others_stored(kind: str) -> None:
    edge, made = OtlpEdge(), export(*calls(9), resource={"team": MARK})
    status, answer = await edge.send("/v1/traces", in_json(made) if "json" in kind else made.SerializeToString(), kind)
    assert (status, stored(edge)) == (200, 5)
    assert b"send fewer items at a time, or share less (4)" in answer


async def test_evaluations_within_a_span_take_room_as_well() -> None:
    scored = {"gen_ai.evaluation.name": "a", "gen_ai.evaluation.score.value": 1}
    events = [("gen_ai.evaluation.result", scored | {"n": each}) for each in range(9)]
    edge = OtlpEdge()
    made = export(span({}, events), resource={"team": MARK})
    status, answer = await edge.send("/v1/traces", made.SerializeToString())
    assert (status, stored(edge)) == (200, 5)
    assert b"(4)" in answer


async def test_spans_that_share_little_are_all_stored() -> None:
    edge = OtlpEdge()
    await edge.send("/v1/traces", export(*calls(50), resource={"service.name": "a"}).SerializeToString())
    assert len(edge.recorder.records) == 50


@pytest.mark.parametrize(("number", "wanted"), [(1, 200), (5, 200), (6, 413)])
async def test_so_does_the_metadata_in_headers_of_a_bulk_call(number: int, wanted: int) -> None:
    edge, body = OtlpEdge(), json.dumps([{"request": {}, "response": {}}] * number).encode()
    said = json.dumps({"team": MARK})
    status, _ = await edge.send("/v1/logs", body, "application/json", x_portkey_metadata=said)
    assert (status, stored(edge)) == (wanted, number if wanted == 200 else 0)
