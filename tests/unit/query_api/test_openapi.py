"""What can be read back is documented whole: parameters, answers, and exactly the refusals there are."""

from typing import Any

import pytest

from ingest_api.app import create_app
from ingest_api.settings import Settings
from query_api.app import add_queries
from query_api.filters.feedback_parameters import NAMES as NAMES_OF_FEEDBACK
from query_api.filters.parameters import NAMES
from query_api.settings import QuerySettings

PAGE = {"cursor", "page_size"}
FACETS = {"fields", "limit", "contains", "newest"}
GROUPS = {*NAMES, "key", "page_size", "current_page"}
GRAPH = {*NAMES, "read_from"}
OVER_TIME = {*GRAPH, "bucket", "time_zone"}
OF_REQUESTS = {*NAMES, "bucket", "time_zone"}
GROUPS_OF_REQUESTS = {*NAMES, "page_size", "current_page", "columns", "order_by", "order_by_type", "include_total"}
TIME_GRAPHS = ("requests", "cost", "latency", "tokens", "users", "users/requests", "errors", "errors/rate",
               "errors/stacks", "requests/overview")  # fmt: skip
FIELDS = ("users", "ai-models", "model", "provider", "ai_service", "prompt", "status_code", "workspaces", "workspace")
EXPORT = "/v1/logs/exports"
ONE = f"{EXPORT}/{{export_id}}"
DOCUMENTED: dict[tuple[str, str], tuple[set[str], set[int]]] = {
    ("get", "/v1/caller"): (set(), {400, 401, 403, 429}),
    ("get", "/v1/feedback"): ({*NAMES, *NAMES_OF_FEEDBACK, *PAGE, "order"}, {400, 401, 403, 429, 503}),
    ("get", "/v1/feedback/facets"): ({*NAMES, *NAMES_OF_FEEDBACK, *FACETS}, {400, 401, 403, 429, 503}),
    ("get", "/v1/feedback/{feedback_id}"): ({"feedback_id"}, {400, 401, 403, 429, 404, 503}),
    ("get", "/v1/logs"): ({*NAMES, *PAGE, "order_by", "order_by_type"}, {400, 401, 403, 429, 503}),
    ("get", "/v1/logs/facets"): ({*NAMES, *FACETS}, {400, 401, 403, 429, 503}),
    ("get", "/v1/logs/{log_id}"): ({"log_id"}, {400, 401, 403, 429, 404, 503}),
    ("get", "/v1/traces/{trace_id}"): (
        {"trace_id", "span_cursor", "feedback_cursor", "page_size"},
        {400, 401, 403, 429, 404, 503},
    ),
    ("get", "/v1/analytics/graphs/feedbacks"): (OVER_TIME, {400, 401, 403, 429, 503}),
    ("get", "/v1/analytics/graphs/feedbacks/weighted"): (OVER_TIME, {400, 401, 403, 429, 503}),
    ("get", "/v1/analytics/graphs/feedbacks/intervals"): (OVER_TIME, {400, 401, 403, 429, 503}),
    ("get", "/v1/analytics/groups/feedback"): (
        {*GRAPH, "by", "order_by", "order_by_type", "page_size", "current_page"},
        {400, 401, 403, 429, 503},
    ),
    ("get", "/v1/analytics/graphs/feedbacks/scores"): (GRAPH, {400, 401, 403, 429, 503}),
    ("get", "/v1/analytics/graphs/feedbacks/ai-models"): (GRAPH, {400, 401, 403, 429, 503}),
    ("get", "/v1/analytics/groups/metadata/{key}"): (GROUPS, {400, 401, 403, 429, 503}),
    ("get", "/v1/analytics/groups/feedback-metadata/{key}"): (GROUPS | GRAPH, {400, 401, 403, 429, 503}),
    ("get", "/v1/analytics/comparison"): (
        {*GRAPH, *(f"baseline_{name}" for name in NAMES)},
        {400, 401, 403, 429, 503},
    ),
    **{("get", f"/v1/analytics/graphs/{name}"): (OF_REQUESTS, {400, 401, 403, 429, 503}) for name in TIME_GRAPHS},
    ("get", "/v1/analytics/graphs/errors/status-codes"): (set(NAMES), {400, 401, 403, 429, 503}),
    **{("get", f"/v1/analytics/groups/{name}"): (GROUPS_OF_REQUESTS, {400, 401, 403, 429, 503}) for name in FIELDS},
    ("post", EXPORT): (set(), {400, 401, 403, 408, 413, 429, 503}),
    ("get", EXPORT): ({"page_size", "current_page", "workspace_id"}, {400, 401, 403, 429, 503}),
    ("get", ONE): ({"export_id"}, {400, 401, 403, 429, 404, 503}),
    ("put", ONE): ({"export_id"}, {400, 401, 403, 429, 404, 408, 409, 413, 503}),
    ("delete", ONE): ({"export_id"}, {400, 401, 403, 429, 404, 409, 503, 507}),
    ("post", f"{ONE}/start"): ({"export_id"}, {400, 401, 403, 404, 409, 429, 503, 507}),
    ("post", f"{ONE}/cancel"): ({"export_id"}, {400, 401, 403, 429, 404, 409, 503}),
    ("get", f"{ONE}/download"): ({"export_id"}, {400, 401, 403, 429, 404, 409, 410, 503}),
    ("get", f"{ONE}/file"): ({"export_id", "expires", "signature"}, {400, 403, 404, 409, 410, 416, 503}),
}
NAMES_A_FIELD = {400, 404}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    app = create_app(Settings())
    of_the_edge = {(method, path) for path, methods in app.openapi()["paths"].items() for method in methods}
    app = create_app(Settings())
    add_queries(app, QuerySettings(), app.api_keys)
    document: dict[str, Any] = app.openapi()
    added = {(method, path) for path, methods in document["paths"].items() for method in methods} - of_the_edge
    assert added == set(DOCUMENTED)
    return document


@pytest.mark.parametrize(
    ("method", "path", "parameters", "refusals"),
    [(*route, *told) for route, told in DOCUMENTED.items()],
    ids=[" ".join(route) for route in DOCUMENTED],
)
def test_a_question_is_documented_with_its_parameters_its_answer_and_exactly_its_refusals(
    document: dict[str, Any], method: str, path: str, parameters: set[str], refusals: set[int]
) -> None:
    operation = document["paths"][path][method]
    assert {each["name"] for each in operation.get("parameters", [])} == parameters
    content = operation["responses"]["200"]["content"]
    assert path.endswith("/file") or "$ref" in content["application/json"]["schema"]
    told = {int(status): answer for status, answer in operation["responses"].items() if status[0] in "45"}
    assert set(told) == refusals
    for status, answer in told.items():
        if "application/json" not in answer["content"]:
            assert (path, status) in {(f"{ONE}/file", 400), (f"{ONE}/file", 416)}
            continue
        body = answer["content"]["application/json"]["example"]
        assert body["error"]["message"], status
        param = body["error"].get("param")
        if status in (401, 403) and not path.endswith("/file"):
            assert param == "x-portkey-api-key"
        elif status in NAMES_A_FIELD and "requestBody" not in operation:
            assert param in parameters or (status == 400 and param == "x-portkey-api-key")
        elif status == 503:
            assert param is None


def test_every_body_that_a_question_takes_has_examples_that_fit_its_columns(document: dict[str, Any]) -> None:
    for method, path in (("post", EXPORT), ("put", ONE)):
        content = document["paths"][path][method]["requestBody"]["content"]["application/json"]
        columns = set(content["schema"]["properties"]["requested_data"]["items"]["enum"])
        assert len(content["examples"]) >= 2
        for each in content["examples"].values():
            assert set(each["value"]) <= set(content["schema"]["properties"])
            assert set(each["value"].get("requested_data", [])) <= columns
