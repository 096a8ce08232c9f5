"""The documentation of the edge says what the edge does."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from starlette.routing import Route

from ingest_api.app import create_app
from ingest_api.http.edge_app import EdgeApp
from ingest_api.settings import Settings
from ingest_api.validation import models


@pytest.fixture(scope="module")
def app() -> EdgeApp:
    return create_app(Settings())


@pytest.fixture(scope="module")
def document(app: EdgeApp) -> dict[str, Any]:
    return app.openapi()


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def valid(document: dict[str, Any], schema: dict[str, Any], instance: Any) -> bool:
    return bool(Draft202012Validator({**schema, "components": document["components"]}).is_valid(instance))


def test_every_route_is_documented_and_nothing_else(app: EdgeApp, document: dict[str, Any]) -> None:
    served = {
        (method, route.path.rstrip("/"))
        for route in app.router.routes
        if isinstance(route, Route)
        and route.path != "/openapi.json"
        and not route.path.startswith(("/docs", "/feedback-"))
        for method in route.methods or ()
        if method not in ("HEAD", "OPTIONS")
    }
    assert set(operations(document)) == served


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            here = [node["$ref"]] if "$ref" in node else []
            return here + [found for inner in node.values() for found in references(inner)]
        return [found for inner in node for found in references(inner)] if isinstance(node, list) else []

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= known


def test_publishing_operations_document_their_errors(document: dict[str, Any]) -> None:
    for (_, path), operation in operations(document).items():
        if path.startswith("/v1/"):
            wanted = {"200", "400", "413", "503"} | ({"404"} if "{" in path else set())
            assert wanted <= set(operation["responses"]), path


def test_every_example_is_valid(document: dict[str, Any]) -> None:
    checked = 0
    for operation in operations(document).values():
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        for example in body.get("examples", {}).values():
            assert valid(document, body["schema"], example["value"]), example
            checked += 1
        for response in operation["responses"].values():
            content = response.get("content", {}).get("application/json", {})
            if "example" in content:
                assert valid(document, content["schema"], content["example"]), content
                checked += 1
    assert checked >= 15


def test_examples_of_bodies_are_accepted(document: dict[str, Any]) -> None:
    for path, adapter in (("/v1/feedback", models.FEEDBACK), ("/v1/logs", models.LOGS),
                          ("/v1/feedback/tokens", models.TOKEN), ("/v1/feedback/vote", models.VOTE)):  # fmt: skip
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        for example in content["examples"].values():
            value = example["value"]
            assert adapter.validate_python(value if isinstance(value, list) else [value])


def test_limits_stand_in_the_schema(document: dict[str, Any]) -> None:
    schema = document["paths"]["/v1/feedback"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    good = {"trace_id": "t", "value": 10, "weight": 1}
    assert valid(document, schema, good)
    assert valid(document, schema, [good] * 1000)
    for bad in (
        [],
        [good] * 1001,
        good | {"value": 11},
        good | {"weight": 1.5},
        {"trace_id": "t"},
        good | {"metadata": 5},
    ):
        assert not valid(document, schema, bad), bad
