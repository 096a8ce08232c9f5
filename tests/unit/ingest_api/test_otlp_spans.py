"""Spans of model calls become request logs: every attribute has its field, in protobuf and in JSON alike."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ingest_api.otlp import attribute_names
from ingest_api.otlp.json_export import spans_in as spans_in_json
from ingest_api.otlp.protobuf_export import spans_in as spans_in_protobuf
from ingest_api.otlp.span_export import requests_of
from ingest_api.settings import BodyLimits, Settings
from ingest_api.validation.feedback import CallContext
from stream_workers.join.decode import decode_event
from tests.fuzz.edge import NOW_MS
from tests.unit.ingest_api.otlp_edge import CALL, PARENT, SPAN, TRACE, export, in_json, span

Json = dict[str, Any]
LIMITS = Settings().limits
PAGE = (Path(__file__).parents[3] / "docs" / "opentelemetry.md").read_text()


def requests(message: Any, limits: BodyLimits = LIMITS) -> list[Json]:
    """The events of an export, the same in both encodings, each as a worker takes it."""
    found = []
    for scopes in (spans_in_protobuf(message.SerializeToString()), spans_in_json(in_json(message))):
        outcome = requests_of(scopes, CallContext("default", NOW_MS), limits, may_give_feedback=True)
        assert outcome.rejections.message == ""
        for record in outcome.records:
            decode_event(record.topic, record.value)
        found.append([json.loads(record.value) for record in outcome.records])
    assert found[0] == found[1], "the two encodings say the same"
    return found[0]


def request(attributes: Json, **fields: Any) -> Json:
    (one,) = requests(export(span(attributes, **fields)))
    return one


def test_a_span_of_the_present_conventions_becomes_a_request() -> None:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 34,
        "gen_ai.prompt.name": "titles",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.response.finish_reasons": ["stop"],
        "server.address": "api.openai.com",
        "server.port": 443,
        "user.id": "user-7",
        "http.response.status_code": 203,
    }
    resource = {"service.name": "shop", "deployment.environment.name": "staging", "telemetry.sdk.name": "x",
                "process.command_args": ["--token", "secret"]}  # fmt: skip
    (one,) = requests(export(span(attributes, parent_span_id=PARENT), resource=resource, scope="hook"))
    assert one.pop("request_id")[14] == "8"
    assert one == {
        "event": "request",
        "workspace": "default",
        "trace_id": TRACE.hex(),
        "span_id": SPAN.hex(),
        "parent_span_id": PARENT.hex(),
        "span_name": "chat m-1",
        "provider": "openai",
        "model": "gpt-4o",
        "method": "post",
        "url": "//api.openai.com:443",
        "status": 203,
        "response_time_ms": 840.0,
        "prompt_tokens": 12,
        "completion_tokens": 34,
        "total_tokens": 46,
        "_user": "user-7",
        "_prompt": "titles",
        "_environment": "staging",
        "metadata": {
            "service.name": "shop",
            "otel.scope.name": "hook",
            "gen_ai.operation.name": "chat",
            "gen_ai.response.model": "gpt-4o-2024-08-06",
            "gen_ai.request.temperature": 0.5,
            "gen_ai.response.finish_reasons": ["stop"],
            "_user": "user-7",
            "_prompt": "titles",
            "_environment": "staging",
        },
        "started_at": "2026-01-31T11:59:55.123Z",
        "received_at": "2026-01-31T12:00:00.123Z",
    }


@pytest.mark.parametrize(
    ("attributes", "field", "value"),
    [
        ({"gen_ai.system": "anthropic"}, "provider", "anthropic"),
        ({"gen_ai.response.model": "m-2", "gen_ai.request.model": ""}, "model", "m-2"),
        ({"gen_ai.usage.prompt_tokens": 5}, "prompt_tokens", 5),
        ({"gen_ai.usage.completion_tokens": 6}, "completion_tokens", 6),
        ({"llm.usage.total_tokens": 7}, "total_tokens", 7),
        ({"gen_ai.usage.input_tokens": 3.0}, "prompt_tokens", 3),
        ({"gen_ai.usage.input_tokens": "3"}, "prompt_tokens", 3),
        ({"gen_ai.usage.cost": 0.25}, "cost", 25.0),
        ({"llm.cost.total": 1}, "cost", 100),
        ({"enduser.id": "u"}, "_user", "u"),
        ({"user.id": 7}, "_user", "7"),
        ({"organization.id": "o"}, "_organisation", "o"),
        ({"deployment.environment": "test"}, "_environment", "test"),
        ({"_prompt": "mine", "gen_ai.prompt.name": "other"}, "_prompt", "mine"),
        ({"http.request.method": "PUT"}, "method", "put"),
        ({"url.full": "https://u:p@host/a?key=secret&model=m"}, "url", "https://[redacted]@host/a?key=[redacted]&model=m"),
        ({"server.address": "::1", "server.port": 80}, "url", "//[::1]:80"),
        ({"http.request.header.authorization": ["Bearer x"], "http.request.header.accept": ["a/b"]},
         "request_headers", {"authorization": "[redacted]", "accept": "a/b"}),
        ({"ai.request.headers.Authorization": "Bearer x", "ai.telemetry.metadata.userId": "u"},
         "request_headers", {"Authorization": "[redacted]"}),
        ({"http.response.header.set-cookie": ["a", "b"]}, "response_headers", {"set-cookie": "[redacted]"}),
    ],
)  # fmt: skip
def test_each_name_of_an_attribute_leads_to_its_field(attributes: Json, field: str, value: Any) -> None:
    one = request(CALL | attributes)
    assert one[field] == value
    assert not {*attributes} - {"_prompt", "gen_ai.prompt.name", "gen_ai.request.model"} & {*one["metadata"]}


SECRET = "s3cret"
TOKEN = "AAHdqTcvCH1v-GWJxfS9e_ofSA"
SECRET_NAMES = (
    *("openai_api_key", "clientSecret", "aws.secret_access_key", "x-api-key", "accessToken", "db.user_password"),
    *("cookies", "auth", "llm.api_key.value", 'http.headers["Authorization"]', "process.environment_variable.A_KEY"),
    *("process.command_line", "container.command_args"),
)


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("url.query", "key=s3cret&model=m", "key=[redacted]&model=m"),
        ("url.path", "/a;token=s3cret", "/a;token=[redacted]"),
        ("http.target", "/v1?token=s3cret", "/v1?token=[redacted]"),
        ("url.original", "/v1?token=s3cret", "/v1?token=[redacted]"),
        ("http.url", "https://h/p?key=s3cret", "https://h/p?key=[redacted]"),
        ("http.referer", "https://h/?key=s3cret", "https://h/?key=[redacted]"),
        ("any.name", "wss://u:s3cret@h/p", "wss://[redacted]@h/p"),
        ("any.name", ["https://h/?key=s3cret", "plain"], ["https://h/?key=[redacted]", "plain"]),
        ("any.name", "jdbc:postgresql://h/db?password=s3cret", "[redacted]"),
        ("HTTP.Request.Header.Authorization", "Bearer s3cret", "[redacted]"),
        ("http.request.headers.x-key", ["s3cret"], "[redacted]"),
        ("rpc.request.metadata.x-key", ["s3cret"], "[redacted]"),
        ("messaging.header.x-key", "s3cret", "[redacted]"),
        ("messaging.header.content-type", "text/plain", "text/plain"),
        ("gen_ai.request.headers", '{"x-key": "s3cret", "accept": "a/b"}', {"x-key": "[redacted]", "accept": "a/b"}),
        ("gen_ai.request.headers", '{"x-key": "s3cret', {"[redacted]": "[redacted]"}),
        ("llm.invocation_parameters", '{"extra_headers": {"x": "s3cret"}, "n": [{"api_key": "s3cret"}], "t": 1}',
         '{"extra_headers":{"x":"[redacted]"},"n":[{"api_key":"[redacted]"}],"t":1}'),
        ("llm.invocation_parameters", '{"temperature": 1}', '{"temperature": 1}'),
        ("llm.api_key", "s3cret", "[redacted]"),
        ("db.connection_string", "s3cret", "[redacted]"),
        *((name, "s3cret", "[redacted]") for name in SECRET_NAMES),
        ("account.password", 5301, "[redacted]"),
        ("auth.token", 5301, 5301),
        ("llm.max_tokens", "100", "100"),
        ("llm.invocation_parameters", '{"clientSecret":"s3cret"}', '{"clientSecret":"[redacted]"}'),
        ("llm.invocation_parameters", '{"defaultHeaders":{"x":"s3cret"}}', '{"defaultHeaders":{"x":"[redacted]"}}'),
        ("llm.invocation_parameters", '{"extra_query":{"key":"s3cret"}}', '{"extra_query":{"key":"[redacted]"}}'),
        ("llm.invocation_parameters", '{"top_p": NaN, "api_key": "s3cret"}', "[redacted]"),
        ("llm.invocation_parameters", '{"extra_headers": {"x-own": "s3cr', "[redacted]"),
        ("llm.invocation_parameters", "{'api_key': 's3cret'}", "[redacted]"),
        ("llm.client", "Options(api_key='s3cret', timeout=3)", "Options(api_key=[redacted], timeout=3)"),
        ("llm.client", "Options(headers={'x-own': 's3cret'})", "Options(headers=[redacted]"),
        ("http.path", "/v1?key=s3cret", "/v1?key=[redacted]"),
        ("http.query_string", "key=s3cret&model=m", "key=[redacted]&model=m"),
        *((name, f"/b1:{TOKEN}/send", "/[redacted]/send") for name in ("url.path", "http.path", "request.uri", "note")),
        ("note", f"Max retries exceeded with url: /a/{TOKEN} (E)", "Max retries exceeded with url: /a/[redacted] (E)"),
        ("note", f"{TOKEN} is a/b /usr/lib/python3.11 a", f"{TOKEN} is a/b /usr/lib/python3.11 a"),
        ("any.name", " https://h/?key=s3cret", "https://h/?key=[redacted]"),
        ("any.name", "GET /a?key=s3cret failed", "GET /a?key=[redacted] failed"),
        ("any.name", "no answer (https://u:s3cret@h:80/a).", "no answer (https://[redacted]@h:80/a)."),
        ("any.name", "host=h password=s3cret", "host=h password=[redacted]"),
        ("any.name", "\u0130\u0130 PassWord: s3cret", "\u0130\u0130 PassWord: [redacted]"),
        ("any.name", "Bearer s3cret00", "Bearer [redacted]"),
        ("any.name", "curl -H 'Authorization: Basic s3cret'", "curl -H 'Authorization: [redacted]'"),
        ("server.address", "user:s3cret@h:5432/db", "[redacted]@h:5432/db"),
        ("any.name", "dsn=user:s3cret@h.", "dsn=[redacted]@h."),
        ("any.name", "no answer from (u:a/s3cret:b@c=d@h)", "no answer from ([redacted]@h)"),
        ("any.name", ["jdbc:oracle:thin:u/s3cret@h:1521:db"], ["[redacted]@h:1521:db"]),
        ("any.name", "redis://u:s3cret@a,u:s3cret@b/0", "redis://[redacted]@b/0"),
        ("note", "mailto:ada@h and ada@h, 5:7 @h", "mailto:ada@h and ada@h, 5:7 @h"),
        ("note", "git@h:a/b h:5000/a:1@sha256:0a pkg:npm/a@1.2", "git@h:a/b h:5000/a:1@sha256:0a pkg:npm/a@1.2"),
        ("note", "is it 5 or 6? max_tokens: 7", "is it 5 or 6? max_tokens: 7"),
        ("note", "see https://h/ for headers", "see https://h/ for headers"),
    ],
)  # fmt: skip
def test_secrets_in_any_attribute_are_redacted_in_metadata_too(name: str, value: Any, kept: Any) -> None:
    one = request(CALL | {"url.full": "https://h/", name: value})
    assert SECRET not in json.dumps(one)
    assert one["metadata"][name] == kept


def test_secrets_in_attributes_of_the_resource_and_in_nested_ones_are_redacted() -> None:
    nested = {"outer": {"headers": {"x-key": SECRET}, "url": f"https://h/?key={SECRET}"}}
    (one,) = requests(export(span(CALL | nested), resource={"service.url": f"https://h/?key={SECRET}"}))
    assert SECRET not in json.dumps(one)


def test_secrets_in_what_a_span_says_of_itself_are_redacted() -> None:
    """Exceptions and names of spans quote the address that was called."""
    address = f"https://h/?key={SECRET}"
    said = {"exception.type": f"E {address}", "exception.message": f"400 for url '{address}'"}
    for fields in ({"status": {"code": 2, "message": address}}, {"events": [("exception", said)]}):
        one = request(CALL | {"error.type": "E"}, name=f"chat {address}", **fields)
        assert SECRET not in json.dumps(one)
        assert one["span_name"] == "chat https://h/?key=[redacted]"
    for name in ("gen_ai.system", "gen_ai.request.model", "error.type"):
        assert SECRET not in json.dumps(request(CALL | {name: address}))


def test_a_command_line_of_the_resource_or_the_scope_is_not_stored() -> None:
    commands = {"container.command_line": f"run --key {SECRET}", "process.command_args": [SECRET]}
    (one,) = requests(export(span(CALL), resource=commands))
    assert not {*commands} & {*one["metadata"]}


def test_what_an_app_writes_into_metadata_is_its_own() -> None:
    one = request(CALL | {"metadata": '{"page": "https://h/?ref=7", "token": "seven"}'})
    assert one["metadata"]["page"] == "https://h/?ref=7"
    assert one["metadata"]["token"] == "seven"


@pytest.mark.parametrize(
    ("attributes", "fields", "status"),
    [
        ({}, {}, 200),
        ({"error.type": "429"}, {}, 429),
        ({"error.type": "RateLimitError"}, {}, 429),
        ({"error.type": "openai.AuthenticationError"}, {}, 401),
        ({"error.type": "timeout"}, {}, 408),
        ({"error.type": "SomethingElse"}, {}, 500),
        ({"error.type": "timeout", "http.response.status_code": 504}, {}, 504),
        ({}, {"status": {"code": 2, "message": "no luck"}}, 500),
        ({}, {"status": {"code": 2}, "events": [("exception", {"exception.type": "openai.NotFoundError"})]}, 404),
        ({}, {"status": {"code": 1}}, 200),
        ({}, {"status": {"code": 99}}, 200),
    ],
)
def test_the_status_is_what_the_span_says_of_the_error(attributes: Json, fields: Json, status: int) -> None:
    assert request(CALL | attributes, **fields)["status"] == status


def test_a_failed_call_has_its_error_as_its_answer() -> None:
    one = request(CALL | {"error.type": "RateLimitError"}, status={"code": 2, "message": "slow down"})
    assert one["response_body"] == {"error": {"type": "RateLimitError", "message": "slow down"}}
    assert one["metadata"]["otel.status_description"] == "slow down"


@pytest.mark.parametrize(
    ("attributes", "is_request"),
    [
        ({"gen_ai.operation.name": "chat"}, True),
        ({"gen_ai.operation.name": "embeddings"}, True),
        ({"gen_ai.operation.name": "one of their own", "gen_ai.system": "x"}, True),
        ({"gen_ai.request.model": "m"}, True),
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "m"}, False),
        ({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t"}, False),
        ({"traceloop.span.kind": "workflow", "gen_ai.system": "x"}, False),
        ({"openinference.span.kind": "LLM"}, True),
        ({"openinference.span.kind": "EMBEDDING"}, True),
        ({"openinference.span.kind": "CHAIN", "llm.model_name": "m"}, False),
        ({"llm.request.type": "chat"}, True),
        ({"http.request.method": "GET"}, False),
        ({}, False),
    ],
)
def test_calls_to_a_model_are_requests_and_no_other_spans(attributes: Json, is_request: bool) -> None:
    assert bool(requests(export(span(attributes)))) is is_request


def test_values_of_every_type_become_metadata() -> None:
    given = {"s": "é", "b": True, "i": -(2**63), "d": 0.1, "n": None, "l": [1, "a", [True]], "o": {"k": {"x": 1.5}},
             "raw": b"\x00\xff", "big": 2**40, "nan": float("nan"), "inf": float("-inf"), "empty": "",
             "none": []}  # fmt: skip
    metadata = request(CALL | given)["metadata"]
    expected = given | {"raw": "AP8=", "nan": "NaN", "inf": "-Infinity"}
    assert {name: metadata[name] for name in given} == expected


def test_an_attribute_of_the_wrong_type_stays_metadata() -> None:
    odd = {"gen_ai.usage.input_tokens": -1, "gen_ai.usage.output_tokens": "many", "gen_ai.provider.name": 5,
           "http.response.status_code": 99_999, "gen_ai.usage.cost": True}  # fmt: skip
    one = request(CALL | odd)
    assert odd.items() <= one["metadata"].items()
    assert not {"prompt_tokens", "provider", "cost"} & {*one}


def test_the_json_under_metadata_counts_as_attributes() -> None:
    one = request(CALL | {"metadata": '{"_organisation": "o1", "plan": "pro"}'})
    assert (one["_organisation"], one["metadata"]["plan"]) == ("o1", "pro")
    assert "metadata" not in one["metadata"]


@pytest.mark.parametrize(
    ("fields", "started", "took"),
    [
        ({"start_time_unix_nano": 0}, "2026-01-31T12:00:00.123Z", None),
        ({"end_time_unix_nano": 0}, "2026-01-31T11:59:55.123Z", None),
        ({"start_time_unix_nano": 1_770_379_200_000_000_000}, "2026-02-06T12:00:00.000Z", None),
        ({"end_time_unix_nano": 1_770_379_200_000_000_000}, "2026-01-31T11:59:55.123Z", 518404877.0),
    ],
)
def test_clocks_that_are_days_apart_lose_no_span(fields: Json, started: str, took: float | None) -> None:
    one = request(CALL, **fields)
    assert (one["started_at"], one.get("response_time_ms")) == (started, took)


def test_the_id_of_a_request_is_made_from_trace_and_span() -> None:
    message = export(span(), span(span_id=PARENT), span(trace_id=bytes(range(21, 37))))
    ids = [one["request_id"] for one in requests(message)]
    assert len({*ids}) == 3
    assert [one["request_id"] for one in requests(message)] == ids


def test_bodies_that_are_not_to_be_kept_are_not_kept() -> None:
    limits = Settings(keep_bodies=False).limits
    attributes = CALL | {"gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"private"}]}]'}
    (one,) = requests(export(span(attributes)), limits)
    assert "private" not in json.dumps(one)


def test_the_page_names_every_attribute_in_the_order_in_which_they_count() -> None:
    rows = dict(re.findall(r"^\| `([\w]+)`[^|]*\| (.+) \|$", PAGE, re.MULTILINE))
    named = {field: re.findall(r"`([\w.]+)`", row) for field, row in rows.items()}
    names = attribute_names
    assert named["provider"] == [*names.PROVIDER]
    assert [each for each in named["model"] if each != "model"] == [*names.ASKED_MODEL, *names.ANSWERING_MODEL]
    assert named["prompt_tokens"] == [*names.PROMPT_TOKENS]
    assert named["completion_tokens"] == [*names.COMPLETION_TOKENS]
    assert named["total_tokens"] == [*names.TOTAL_TOKENS]
    assert named["cost"] == [*names.DOLLARS]
    assert named["status"] == [*names.STATUS]
    assert named["method"][:-1] == [*names.METHOD]
    assert named["url"][: len(names.URL)] == [*names.URL]
    for special, others in names.SPECIALS.items():
        assert [each for each in named[special] if each != "user"] == [special, *others]
