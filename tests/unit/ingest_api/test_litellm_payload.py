"""What LiteLLM's generic callback sends becomes request logs, in all its formats, and once."""

import json
from typing import Any

import pytest

from stream_workers.join.decode import decode_event
from tests.unit.ingest_api.otlp_edge import Json, OtlpEdge

NO_ERROR = {"error_code": "", "error_class": "", "llm_provider": "", "traceback": "", "error_message": "",
            "error_provider_request_id": None}  # fmt: skip
SAID = [{"role": "user", "content": "a title?"}]
ANSWER = {
    "id": "chatcmpl-1",
    "created": 1796018529,
    "model": "m-1",
    "object": "chat.completion",
    "choices": [
        {"finish_reason": "stop", "index": 0, "message": {"content": "Dawn", "role": "assistant", "tool_calls": None}}
    ],
    "usage": {"completion_tokens": 20, "prompt_tokens": 10, "total_tokens": 30, "prompt_tokens_details": None},
}
KEY_METADATA = dict.fromkeys(
    ("user_api_key_hash", "user_api_key_alias", "user_api_key_spend", "user_api_key_team_id", "user_api_key_org_id",
     "user_api_key_user_id", "user_api_key_end_user_id", "spend_logs_metadata", "requester_ip_address", "user_agent",
     "requester_metadata", "requester_custom_headers", "prompt_management_metadata", "usage_object")
)  # fmt: skip


def payload(**fields: Any) -> Json:
    """A call that succeeded, in the shape that LiteLLM 1.110 sends, without most of its prices."""
    metadata = KEY_METADATA | {"applied_guardrails": [], **fields.pop("metadata", {})}
    return {
        "id": "chatcmpl-1",
        "litellm_call_id": "9072bffe-5513-4f75-9adf-b03b36825a3d",
        "trace_id": "335f1728-528d-4a0c-94ae-12f85c018bff",
        "session_id": "",
        "call_type": "acompletion",
        "cache_hit": None,
        "stream": None,
        "status": "success",
        "status_fields": {"llm_api_status": "success", "guardrail_status": "not_run"},
        "custom_llm_provider": "openai",
        "saved_cache_cost": 0.0,
        "startTime": 1769860800.123,
        "endTime": 1769860800.535,
        "completionStartTime": 1769860800.535,
        "response_time": 0.412,
        "model": "m-1",
        "metadata": metadata,
        "cache_key": None,
        "response_cost": 0.000225,
        "cost_breakdown": {"total_cost": 0.000225, "input_cost": 2.5e-05, "output_cost": 0.0002},
        "total_tokens": 30,
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "request_tags": [],
        "end_user": None,
        "api_base": "",
        "model_group": "",
        "model_id": "",
        "requester_ip_address": None,
        "user_agent": None,
        "messages": SAID,
        "response": ANSWER,
        "model_parameters": {},
        "hidden_params": {"api_base": "https://api.openai.com", "response_cost": 0.000225, "additional_headers": {}},
        "model_map_information": {"model_map_key": "m-1", "model_map_value": {"max_tokens": 16384, "tpm": None}},
        "error_str": None,
        "error_information": NO_ERROR,
        **fields,
    }


FAILED = payload(
    id="28374b56-e9dc-4529-b899-8c5bf3814535",
    litellm_call_id="28374b56-e9dc-4529-b899-8c5bf3814535",
    status="failure",
    custom_llm_provider=None,
    response={},
    response_cost=0.0,
    total_tokens=0,
    prompt_tokens=0,
    completion_tokens=0,
    error_str="litellm.RateLimitError: slow down",
    error_information=NO_ERROR | {"error_code": "429", "error_class": "RateLimitError", "llm_provider": "openai",
                                  "traceback": 'File "app.py"', "error_message": "litellm.RateLimitError: slow down"},
)  # fmt: skip


async def logged(body: str) -> list[Json]:
    edge = OtlpEdge()
    status, answer = await edge.send("/v1/logs", body.encode(), "application/json")
    assert status == 200, answer
    for record in edge.recorder.records:
        decode_event(record.topic, record.value)
    assert json.loads(answer)["ids"] == [event["request_id"] for event in edge.events]
    return edge.events


async def test_a_call_becomes_a_request() -> None:
    given = payload(
        end_user="user-7",
        request_tags=["blue"],
        model_parameters={"temperature": 0.5},
        metadata={
            "requester_metadata": {"plan": "pro", "_organisation": "o1"},
            "requester_custom_headers": {"X-Portkey-Trace-Id": "my-trace", "x-secret": "hidden"},
            "user_api_key_alias": "shop",
            "user_api_key_hash": "0123",
        },
    )
    (one,) = await logged(json.dumps(given))
    assert "hidden" not in json.dumps(one)
    assert one.pop("request_id")[14] == "8"
    assert one.pop("response_time_ms") == pytest.approx(412)
    assert one == {
        "event": "request",
        "workspace": "default",
        "trace_id": "my-trace",
        "span_id": "9072bffe-5513-4f75-9adf-b03b36825a3d",
        "span_name": "acompletion",
        "provider": "openai",
        "model": "m-1",
        "method": "post",
        "url": "https://api.openai.com",
        "status": 200,
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "total_tokens": 30,
        "cost": 0.0225,
        "request_headers": {"x-portkey-trace-id": "my-trace", "x-secret": "[redacted]"},
        "request_body": {"model": "m-1", "messages": SAID, "temperature": 0.5},
        "response_body": ANSWER,
        "_user": "user-7",
        "_organisation": "o1",
        "metadata": {
            "call_type": "acompletion",
            "litellm_call_id": "9072bffe-5513-4f75-9adf-b03b36825a3d",
            "user_api_key_alias": "shop",
            "litellm_trace_id": "335f1728-528d-4a0c-94ae-12f85c018bff",
            "tags": ["blue"],
            "_user": "user-7",
            "plan": "pro",
            "_organisation": "o1",
        },
        "started_at": "2026-01-31T12:00:00.123Z",
        "received_at": "2026-01-31T12:00:00.123Z",
    }


async def test_a_failed_call_has_its_status_and_its_error() -> None:
    (one,) = await logged(json.dumps(FAILED))
    assert (one["status"], one["provider"], one["trace_id"]) == (429, "openai", FAILED["trace_id"])
    error = {"type": "RateLimitError", "code": "429", "message": "litellm.RateLimitError: slow down"}
    assert one["response_body"] == {"error": error}
    assert "total_tokens" not in one
    (one,) = await logged(json.dumps(FAILED | {"error_information": None}))
    assert (one["status"], one["response_body"]["error"]["message"]) == (500, FAILED["error_str"])


async def test_an_error_is_logged_without_the_secrets_that_it_quotes() -> None:
    quoted = {"error_message": "400 for url 'https://h/v1:generate?key=s3cret', api_key=s3cret"}
    (one,) = await logged(json.dumps(FAILED | {"error_information": NO_ERROR | quoted}))
    said = "400 for url 'https://h/v1:generate?key=[redacted]', api_key=[redacted]"
    assert one["response_body"]["error"]["message"] == said


BATCH = [payload(), FAILED, payload(id="chatcmpl-2", litellm_call_id="other")]


async def test_all_formats_are_read_alike_and_a_repeated_batch_gives_the_same_requests() -> None:
    events = await logged(json.dumps(BATCH))
    assert len({event["request_id"] for event in events}) == 3
    assert await logged(json.dumps(BATCH)) == events
    assert await logged("\n".join(map(json.dumps, BATCH))) == events
    assert await logged("\n".join(map(json.dumps, BATCH)) + "\n") == events
    assert [(await logged(json.dumps(each)))[0] for each in BATCH] == events
    assert await logged(json.dumps([None, *BATCH])) == events, "LiteLLM may have nothing to say of a call"
    assert await logged(json.dumps(BATCH[0], indent=1)) == events[:1]


async def test_calls_and_request_logs_may_come_together() -> None:
    plain = {"trace_id": "t", "request": {}, "response": {}, "call_type": "x", "startTime": 1, "endTime": 2}
    events = await logged(json.dumps([plain, payload()]))
    assert [event["trace_id"] for event in events] == ["t", payload()["trace_id"]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"custom_llm_provider": 5}, "request.provider must be a string, got 5"),
        ({"startTime": "soon", "endTime": None}, "start_time must be a time"),
        ({"prompt_tokens": 2**60}, "prompt_tokens must be at most"),
    ],
)
async def test_what_cannot_be_stored_is_refused_by_its_field(fields: Json, message: str) -> None:
    edge = OtlpEdge()
    body = json.dumps([payload(), payload(**fields)]).encode()
    status, answer = await edge.send("/v1/logs", body, "application/json")
    assert (status, edge.events) == (400, [])
    assert json.loads(answer)["message"].startswith("item 1: ")
    assert message in json.loads(answer)["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"metadata": {"requester_custom_headers": [1], "requester_metadata": "x", "spend_logs_metadata": 5}},
        {"response": "redacted-by-litellm", "messages": "redacted-by-litellm", "model_parameters": None},
        {"response": None, "messages": None, "hidden_params": None, "response_cost": None},
        {"endTime": 0},
    ],
)
async def test_what_litellm_leaves_out_or_redacts_is_no_fault(fields: Json) -> None:
    (one,) = await logged(json.dumps(payload(**fields)))
    assert (one["model"], one["status"]) == ("m-1", 200)


@pytest.mark.parametrize("body", ['{"call_type":1}\n{"call_type":2}', '{"a":1}\n{"a":2}', '{"call_type":\n1}{}'])
async def test_lines_of_anything_else_are_refused_as_before(body: str) -> None:
    status, _ = await OtlpEdge().send("/v1/logs", body.encode(), "application/json")
    assert status == 400
