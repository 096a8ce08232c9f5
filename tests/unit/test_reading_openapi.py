"""What can be read back is documented whole: parameters, answers and refusals."""

from typing import Any

import pytest

from ingest_api.app import create_app
from ingest_api.settings import Settings
from query_api.app import add_queries
from query_api.log_filters import NAMES
from query_api.settings import QuerySettings


@pytest.fixture(scope="module")
def paths() -> dict[str, Any]:
    app = create_app(Settings())
    add_queries(app, QuerySettings())
    document: dict[str, Any] = app.openapi()["paths"]
    return document


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/v1/feedback", {*NAMES, "cursor", "page_size", "join_state"}),
        ("/v1/logs", {*NAMES, "cursor", "page_size"}),
        ("/v1/logs/{log_id}", {"log_id"}),
        ("/v1/traces/{trace_id}", {"trace_id", "span_cursor", "feedback_cursor", "page_size"}),
    ],
)
def test_a_question_is_documented_with_its_parameters_its_answer_and_its_refusals(
    paths: dict[str, Any], path: str, parameters: set[str]
) -> None:
    operation = paths[path]["get"]
    assert {each["name"] for each in operation["parameters"]} == parameters
    assert "$ref" in operation["responses"]["200"]["content"]["application/json"]["schema"]
    refusals = {
        status: told for status, told in operation["responses"].items() if status[0] in "45" and status != "422"
    }
    assert refusals.keys() >= {"503", "404" if "{" in path else "400"}
    for status, told in refusals.items():
        body = told["content"]["application/json"]["example"]
        assert body["error"]["message"], status
        assert (body["error"].get("param") in parameters) == (status != "503")
