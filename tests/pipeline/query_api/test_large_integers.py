"""Integers beyond 64 bits in metadata: told, listed, filtered and exported as they were sent."""

import json
from typing import Any

import pytest
import requests

from tests.pipeline.engines import until
from tests.pipeline.query_api.exporting import Exports
from tests.pipeline.running import Pipeline
from tests.pipeline.stream_workers.test_pipeline import a_trace

LARGE = [2**53 + 1, 2**63, -(2**63) - 1, 123456789012345678901234567890]


def got(pipeline: Pipeline, path: str, **parameters: Any) -> Any:
    reply = requests.get(f"{pipeline.url}{path}", params=parameters, timeout=30)
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.mark.parametrize("number", LARGE)
def test_an_integer_of_any_size_comes_back_exactly(pipeline: Pipeline, number: int) -> None:
    trace, given = a_trace(), {"n": number, "nested": {"list": [number]}}
    feedback = pipeline.feedback(trace, 5, **given)
    pipeline.request(trace, **given)
    until(lambda: got(pipeline, f"/v1/feedback/{feedback}")["status"] == "stored", "it is stored")
    until(lambda: got(pipeline, "/v1/logs", trace_id=trace)["data"], "the request is listed")

    def holds(metadata: dict[str, Any]) -> bool:
        return {name: metadata[name] for name in given} == given

    assert holds(got(pipeline, f"/v1/feedback/{feedback}")["feedback"]["metadata"])
    (listed,) = got(pipeline, "/v1/feedback", trace_id=trace)["data"]
    assert holds(listed["metadata"])
    (request,) = got(pipeline, "/v1/logs", trace_id=trace)["data"]
    assert holds(request["metadata"])
    shown = got(pipeline, f"/v1/traces/{trace}")
    (change,) = shown["feedback"]["data"][0]["history"]
    assert holds(change["metadata"])
    assert holds(shown["spans"]["data"][0]["metadata"])
    asked = {"trace_id": trace, "metadata": json.dumps({"n": number})}
    assert len(got(pipeline, "/v1/feedback", **asked)["data"]) == 1
    assert len(got(pipeline, "/v1/logs", **asked)["data"]) == 1
    assert got(pipeline, "/v1/logs", **asked | {"metadata": json.dumps({"n": number + 1})})["data"] == []
    exported = Exports(pipeline.url).downloaded(filters={"trace_id": trace, "metadata": {"n": number}})
    (line,) = map(json.loads, exported.splitlines())
    assert holds(line["metadata"])
