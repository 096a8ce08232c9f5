"""The whole API keeps to its own OpenAPI document: its examples are sent, and then what Schemathesis makes of it.

The document is read from the running server, so that a route is covered as soon as it is there. FUZZ_SEED repeats a
run, SCHEMA_EXAMPLES says how many calls of each kind an operation gets.
"""

import os
import random
import re
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from tests.pipeline.engines import until
from tests.pipeline.query_api.exporting import Exports
from tests.pipeline.running import Pipeline
from tests.tries import tries

SEED = int(os.environ.get("FUZZ_SEED") or random.randrange(2**32))
EXAMPLES = tries(2, "SCHEMA_EXAMPLES")
MODES_OF_EACH = 2 if EXAMPLES > 2 else 1
"""A usual run gives an operation good calls or bad ones, as the seed chooses; a longer run both."""
# A delete last, so that what the others name is there.
ORDER = ("post", "get", "put", "patch", "delete")

# What nobody means, and what a reader of numbers, times, JSON or ids may stumble over.
STRANGE = ("", " ", "-1", "nope", "\u0663", "9" * 5000, "\0", "{", "1e999", "0x1f", "[]", "\U0001f600,", "2026-13-01")
STRANGE_OF_EACH = tries(1)

NARROWING = {"pattern", "format", "enum", "const", "minLength", "maxLength"}
"""What a schema says of a text that some texts are not."""

Operation = dict[str, Any]

# The first key closes the server to all other tests of the session; test_admin_keys asks these on one of its own.
CLOSING = {("post", "/v1/admin/keys"), ("delete", "/v1/admin/keys/{key_id}")}

# Tokens are signed with a key; tests/unit/ingest_api/test_votes.py and tests/browser ask these where there is one.
NEEDING_A_KEY = {("post", "/v1/feedback/tokens")} | {
    (method, "/v1/feedback/vote") for method in ("post", "put", "delete")
}


@pytest.fixture(scope="module")
def document(pipeline: Pipeline) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(f"{pipeline.url}/openapi.json", timeout=30).json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, Operation]]:
    for method in ORDER:
        for path, methods in document["paths"].items():
            if method in methods and (method, path) not in CLOSING:
                yield method, path, methods[method]


def examples_of(holder: dict[str, Any]) -> list[Any]:
    """The examples of a parameter or a body, wherever they may stand."""
    schema = holder.get("schema", {})
    single = [each["example"] for each in (holder, schema) if "example" in each]
    named = [each["value"] for each in holder.get("examples", {}).values()]
    return [*single, *named, *schema.get("examples", [])]


def bodies_of(operation: Operation) -> list[Any]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return [None] if content is None else examples_of(content)


def check_answer(document: dict[str, Any], operation: Operation, reply: requests.Response, about: str = "") -> None:
    """Insist on a documented answer, in the form that is documented for its status."""
    told = operation["responses"].get(str(reply.status_code))
    assert told is not None, f"{about} {reply.status_code} is not documented: {reply.text}"
    content = told.get("content", {})
    kind = reply.headers.get("content-type", "").partition(";")[0]
    assert not content or kind in content, f"{kind} is not documented"
    schema = content.get("application/json", {}).get("schema")
    if schema:
        Draft202012Validator({**schema, "components": document["components"]}).validate(reply.json())


def test_every_example_of_the_document_is_answered_with_success_as_documented(
    pipeline: Pipeline, document: dict[str, Any]
) -> None:
    trace = {"trace_id": "openapi-examples"}
    known = trace | {
        "feedback_id": pipeline.feedback(**trace, value=1),
        "log_id": pipeline.request(**trace),
        "key": "topic",
    }
    until(pipeline.is_settled, "what the examples name is stored")
    sent = 0
    for method, path, operation in operations(document):
        if (method, path) in NEEDING_A_KEY:
            continue
        if "{export_id}" in path:
            known |= an_export_for(pipeline, path)
        query: dict[str, Any] = {}
        headers: dict[str, str] = {}
        url = pipeline.url + path
        for parameter in operation.get("parameters", []):
            name = parameter["name"]
            found = [known[name]] if name in known else examples_of(parameter)
            if name.endswith("cursor"):
                continue  # good only where it was given
            assert found or name == "Idempotency-Key", f"{path}: {name} has no example"
            if not found:
                continue
            if parameter["in"] == "path":
                url = url.replace("{" + name + "}", quote(str(found[0])))
            else:
                (query if parameter["in"] == "query" else headers)[name] = found[0]
        bodies = bodies_of(operation)
        assert bodies, f"{method} {path} has no example of its body"
        for body in bodies:
            reply = requests.request(method, url, json=body, params=query, headers=headers, timeout=30)
            # A run may end before it is cancelled.
            accepted = (200, 409) if path.endswith("/cancel") else (200,)
            assert reply.status_code in accepted, f"{method} {path} {body}: {reply.text}"
            check_answer(document, operation, reply)
            example = operation["responses"]["200"].get("content", {}).get("application/json", {}).get("example")
            if example and reply.status_code == 200:
                assert set(reply.json()) == set(example), f"{method} {path}"
            sent += 1
    assert sent >= 30


def an_export_for(pipeline: Pipeline, path: str) -> dict[str, str]:
    """The parameters of an export that is in the state in which this can be asked."""
    exports = Exports(pipeline.url)
    if not path.endswith(("/cancel", "/download", "/file")):
        return {"export_id": exports.order()}
    export_id = exports.started()
    if not path.endswith("/cancel"):
        exports.until_status(export_id, "success")
        return {"export_id": export_id, **dict(parse_qsl(urlsplit(exports.signed_url(export_id)).query))}
    return {"export_id": export_id}


def test_any_text_in_any_one_parameter_is_answered_as_documented(pipeline: Pipeline, document: dict[str, Any]) -> None:
    """The others are as in their examples, so that a fault of one is not hidden by that of another."""
    asked = 0
    with requests.Session() as session:
        for method, path, operation in operations(document):
            parameters = [each for each in operation.get("parameters", []) if each["in"] != "header"]
            if method != "get":
                continue
            given = {each["name"]: examples_of(each)[0] for each in parameters if each.get("required")}
            for each in parameters:
                for number in range(asked, asked + STRANGE_OF_EACH):
                    text = STRANGE[(SEED + number) % len(STRANGE)]
                    query = given | {each["name"]: text}
                    filled = {name: quote(str(query.pop(name)) or "x", safe="") for name in in_path(path)}
                    reply = session.get(pipeline.url + path.format(**filled), params=query, timeout=30)
                    # A path with a dot or nothing in it is another path.
                    if reply.url.partition("?")[0].endswith(path.format(**filled)):
                        check_answer(document, operation, reply, f"SEED={SEED} {path}: {each['name']}={text[:20]!r}")
                    asked += 1
    assert asked >= 150 * STRANGE_OF_EACH


def in_path(path: str) -> list[str]:
    """The names of the parameters in it."""
    return re.findall(r"{(\w+)}", path)


def test_whatever_schemathesis_makes_of_the_document_is_answered_as_documented(
    pipeline: Pipeline, document: dict[str, Any]
) -> None:
    import schemathesis  # not for all processes that collect this file: it takes long

    print(f"\nSEED={SEED}")
    modes = list(schemathesis.GenerationMode)
    schema: Any = schemathesis.openapi.from_url(f"{pipeline.url}/openapi.json")
    tried = 0
    for number, (method, path, told) in enumerate(operations(document)):
        for mode in [modes[(SEED + number + step) % 2] for step in range(MODES_OF_EACH)]:
            wrong = mode is schemathesis.GenerationMode.NEGATIVE and "requestBody" not in told
            if wrong and takes_any_text(told):
                continue
            # What takes nothing can be given nothing wrong.
            with suppress(Unsatisfiable) if wrong else nullcontext():
                call_often(schema[path][method.upper()].as_strategy(generation_mode=mode))
                tried += 1
    assert tried >= 20 * MODES_OF_EACH


def takes_any_text(told: Operation) -> bool:
    """Whether all that it is given is texts in its path, of which none is wrong: a thousand would be tried."""
    given = told.get("parameters", [])
    texts = [each["schema"].get("type") == "string" and not each["schema"].keys() & NARROWING for each in given]
    return bool(given) and all(texts) and {each["in"] for each in given} == {"path"}


def call_often(cases: SearchStrategy[Any]) -> None:
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    conformance = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
    ]

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def call(case: Any) -> None:
        case.call_and_validate(checks=conformance, timeout=30)

    call()
