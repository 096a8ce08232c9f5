"""Every route of the whole API with who may call it, every question about a workspace, and two workspaces to ask about:
`alpha` and `beta`, which share all names (traces, users, prompts, models, keys) and nothing else."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

from fastapi.routing import iter_route_contexts

from ingest_api.http.edge_app import EdgeApp
from schemas.key_scopes import Scope
from tests.tries import tries

Json = dict[str, Any]

EXPORTS = "/v1/logs/exports"
EXPORT = f"{EXPORTS}/{{export_id}}"
ALL_GRAPHS = "/v1/analytics/graphs"
GRAPHS = f"{ALL_GRAPHS}/feedbacks"
OF_REQUESTS = ("requests", "cost", "latency", "tokens", "users", "users/requests", "users-requests", "errors",
               "errors/rate", "errors-rate", "errors/stacks", "errors-stack", "errors/status-codes",
               "errors-status-code", "requests/overview")  # fmt: skip
GROUPS = "/v1/analytics/groups"
FIELDS = ("users", "ai-models", "model", "provider", "ai_service", "prompt", "status_code", "workspaces", "workspace")
ADMIN = "/v1/admin"


class Route(NamedTuple):
    """A method and a path with its parameters' names."""

    method: str
    path: str


REDRIVE = Route("POST", f"{ADMIN}/dead-letters/redrive")


def _get(*paths: str) -> set[Route]:
    return {Route("GET", path) for path in paths}


_DOCS = ("start.js", "swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")
OPEN = _get("/healthz", "/readyz", "/metrics", "/docs", *(f"/docs/{name}" for name in _DOCS), "/openapi.json",
            "/feedback-buttons.js", f"{EXPORT}/file")  # fmt: skip
"""What needs no key; the file has an address that is signed."""
VOTES = {Route(method, "/v1/feedback/vote") for method in ("POST", "PUT", "DELETE", "OPTIONS")}
"""What takes a token in place of a key: `tests/unit/ingest_api/test_votes.py` tries those of another workspace."""
LISTS: dict[Route, tuple[Scope, ...]] = {
    **dict.fromkeys(_get("/v1/feedback", "/v1/feedback/", "/v1/feedback/facets"), ("feedback.read",)),
    **dict.fromkeys(_get("/v1/logs", "/v1/logs/", "/v1/logs/facets"), ("logs.read",)),
    **dict.fromkeys(_get(GRAPHS, *(f"{GRAPHS}/{n}" for n in ("weighted", "intervals", "scores", "score", "ai-models"))),
                    ("analytics.read",)),
    **dict.fromkeys(_get(*(f"{ALL_GRAPHS}/{name}" for name in OF_REQUESTS)), ("analytics.read",)),
    **dict.fromkeys(_get(f"{GROUPS}/metadata/{{key}}", f"{GROUPS}/feedback-metadata/{{key}}"), ("analytics.read",)),
    **dict.fromkeys(_get(*(f"{GROUPS}/{name}" for name in ("feedback", *FIELDS))), ("analytics.read",)),
    Route("GET", "/v1/analytics/comparison"): ("analytics.read",),
}  # fmt: skip
"""What takes filters."""
BY_ID: dict[Route, tuple[Scope, ...]] = {
    Route("GET", "/v1/feedback/{feedback_id}"): ("feedback.read",),
    Route("GET", "/v1/logs/{log_id}"): ("logs.read",),
    Route("GET", "/v1/traces/{trace_id}"): ("logs.read", "feedback.read"),
    Route("GET", EXPORTS): ("logs.read",),
    Route("GET", EXPORT): ("logs.read", "feedback.read"),
    Route("GET", f"{EXPORT}/download"): ("logs.read", "feedback.read"),
}
ADMIN_LISTS: dict[Route, tuple[Scope, ...]] = dict.fromkeys(
    _get(f"{ADMIN}/dead-letters", f"{ADMIN}/orphans", f"{ADMIN}/keys"), ("admin",)
)
"""What belongs to the caller's workspace."""
OF_ALL: dict[Route, tuple[Scope, ...]] = dict.fromkeys(
    (Route("GET", f"{ADMIN}/pipeline"), Route("POST", f"{ADMIN}/audit")), ("admin",)
)
"""Numbers of all workspaces together."""
WRITES: dict[Route, tuple[Scope, ...]] = {
    **{Route("POST", path): ("feedback.write",) for path in ("/v1/feedback", "/v1/feedback/")},
    **{Route(method, "/v1/feedback/{feedback_id}"): ("feedback.write",) for method in ("PUT", "DELETE")},
    **{Route("POST", path): ("logs.write",) for path in ("/v1/logs", "/v1/logs/", "/v1/traces")},
    Route("POST", "/v1/feedback/tokens"): ("feedback.token",),
    Route("POST", EXPORTS): ("logs.read",),
    **{Route(method, EXPORT): ("logs.read", "feedback.read") for method in ("PUT", "DELETE")},
    Route("POST", f"{EXPORT}/start"): ("logs.read", "feedback.read"),
    Route("POST", f"{EXPORT}/cancel"): ("logs.read", "feedback.read"),
    REDRIVE: ("admin",),
    Route("POST", f"{ADMIN}/keys"): ("admin",),
    Route("DELETE", f"{ADMIN}/keys/{{key_id}}"): ("admin",),
}
"""Of an export that holds feedback, as all of these workspaces do."""
SCOPES = LISTS | BY_ID | ADMIN_LISTS | OF_ALL | WRITES | {Route("GET", "/v1/caller"): ()}

PAGES = _get(
    "/",
    *(f"/logs{part}" for part in ("", "/overview", "/summary", "/facets", "/keys")),
    *(f"/feedback{part}" for part in ("", "/overview", "/facets", "/keys")),
    *(f"/analytics{part}" for part in ("", "/figures", "/coverage", "/charts", "/groups", "/comparison")),
    *(f"/analytics{part}" for part in ("/facets", "/keys")),
    "/trace",
    "/exports",
    "/exports/file",
    "/sign-in",
    "/keys",
    *(f"/pipeline{part}" for part in ("", "/status", "/waiting")),
    *(f"/requests{part}" for part in ("", "/charts", "/tables", "/facets", "/keys")),
) | {
    Route("POST", path)
    for path in ("/sign-in", "/sign-out", "/feedback/add", "/feedback/change", "/feedback/delete", "/keys",
                 "/keys/revoke", "/exports", "/exports/cancel", "/exports/delete",
                 "/pipeline/audit", "/pipeline/redrive")
}  # fmt: skip
"""The dashboard's, which asks the routes above with the viewer's key."""


def unknown_routes(app: EdgeApp, document: Json) -> list[str]:
    """What the app or its document has and the tables above have not, and the other way round."""
    served = {
        Route(method, (context.path or "").replace(":any_text}", "}"))
        for context in iter_route_contexts(app.routes)
        for method in context.methods or ()
        if method != "HEAD"
    }
    publishing = {Route(method, path) for path, endpoints in app.publishing.items() for method in endpoints.by_method}
    told = {Route(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    return sorted(" ".join(route) for route in (served | publishing | told) ^ {*OPEN, *VOTES, *SCOPES, *PAGES})


NOW = datetime.now(UTC).replace(microsecond=0)
LONG_AGO, DAYS_AGO, TOMORROW = NOW - timedelta(days=20), NOW - timedelta(days=3), NOW + timedelta(days=1)
TIMES = {
    "time_of_generation_min": f"{NOW - timedelta(days=40):%FT00:00:00Z}",
    "time_of_generation_max": f"{TOMORROW:%FT00:00:00Z}",
}
SPECIALS = {
    "_user": "isolated-user",
    "_organisation": "isolated-organisation",
    "_prompt": "isolated-prompt",
    "_environment": "production",
}


@dataclass
class Workspace:
    """One of the two: what it says, on which traces, and the ids that it was given."""

    name: str
    mark: str
    value: int
    weight: float
    status: int
    cost: float
    tokens: int
    times: int
    traces_with_requests: tuple[str, ...]
    traces_with_feedback: tuple[str, ...]
    key: str = ""
    feedback: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)

    @property
    def metadata(self) -> Json:
        return SPECIALS | {"topic": "billing", "note": self.mark, f"{self.name}-only": self.mark}

    def feedback_body(self, trace: str, **more: Any) -> Json:
        return {"trace_id": trace, "value": self.value, "weight": self.weight, "metadata": self.metadata, **more}

    def log_body(self, trace: str, at: datetime = NOW, number: int = 0) -> Json:
        """The first of several is of the user that both workspaces know."""
        usage = {"usage": {"total_tokens": self.tokens}, "said": self.mark}
        return {
            "trace_id": trace,
            "span_id": f"span-{self.mark}",
            "request": {
                "url": f"https://{self.mark}.example/chat",
                "provider": "openai",
                "body": {"model": "gpt-4o", "m": self.mark},
            },
            "response": {"status": self.status, "response_time": self.tokens, "body": usage},
            "metadata": self.metadata
            | {"of_request": self.mark, "_user": f"{SPECIALS['_user']}{f'-{number}' if number else ''}"},
            "cost": self.cost,
            "start_time": at.isoformat(),
        }

    @property
    def secrets(self) -> set[str]:
        """What nobody else may be told."""
        return {self.name, self.mark, self.key.split("_")[1], *self.feedback, *self.logs, *self.exports}


def two_workspaces() -> tuple[Workspace, Workspace]:
    alpha = Workspace("alphaworks", "alphamark", 9, 0.75, 418, 88.5, 7777, 2, ("joined", "mute"),
                      ("joined", "pending", "quiet", "alphatrace"))  # fmt: skip
    beta = Workspace("betaworks", "betamark", 2, 0.5, 200, 0.25, 11, 1, ("joined", "quiet"),
                     ("joined", "pending", "mute"))  # fmt: skip
    return alpha, beta


TRACES = ["joined", "pending", "quiet", "mute", "old", "orphan", "alphatrace"]
KEYS = ["topic", "note", "_user", "alphaworks-only"]
WITH_ALL_FILTERS = (
    *("/v1/feedback", "/v1/feedback/facets", "/v1/logs", "/v1/logs/facets"),
    *(f"{GRAPHS}/weighted", f"{GRAPHS}/intervals", "/v1/analytics/comparison", f"{ALL_GRAPHS}/tokens"),
    *(f"{GROUPS}/users", f"{GROUPS}/feedback"),
    *(f"{GROUPS}/metadata/{{key}}", f"{GROUPS}/feedback-metadata/{{key}}"),
)
FILTERS: list[Json] = [
    {},
    *({"trace_id": trace} for trace in TRACES),
    {"user": "isolated-user"},
    {"organisation": "isolated-organisation", "environment": "production"},
    {"prompt_slug": "isolated-prompt"},
    {"ai_model": "gpt-4o"},
    {"ai_org": "openai", "ai_model": "gpt-4o", "total_units_min": "1000"},
    {"ai_org_model": "openai__gpt-4o", "cost_min": "50"},
    {"status_code": "418"},
    {"span_id": "span-alphamark"},
    {"weighted_feedback_min": "5"},
    {"weighted_feedback_max": "5"},
    {"response_time_min": "1000", "has_feedback": "true"},
    {"has_feedback": "false"},
    {"metadata": json.dumps({"_user": "isolated-user"})},
    {"metadata": json.dumps({"topic": "billing"})},
    {"metadata": json.dumps({"note": "alphamark"})},
    {"metadata": json.dumps({"of_request": "alphamark"})},
    {"metadata": json.dumps({"alphaworks-only": "alphamark"})},
]
DRAWN = [{}, *random.sample(FILTERS[1:], min(tries(3), len(FILTERS) - 1))]
GROUPED_BY = ("user", "ai_model", "metadata.note", "metadata.of_request")
DRAWN_FIELD = random.choice(GROUPED_BY)
"""Those of this run."""


class Question(NamedTuple):
    """One call that changes nothing."""

    route: Route
    path: str
    params: str
    """JSON."""


def questions(own: Workspace, *, filtered: bool = True) -> Iterator[Question]:
    """Everything that a workspace may ask about itself: every route in each way, and with filters where rows are read
    anew; without `filtered` every route in one way."""
    for route in LISTS:
        for number, filters in enumerate(DRAWN if filtered and route.path in WITH_ALL_FILTERS else DRAWN[:1]):
            for key in KEYS[: 1 if number or not filtered else len(KEYS)] if "{key}" in route.path else [""]:
                for params in islice(_variants(route.path, filters), None if filtered else 1):
                    yield Question(route, route.path.replace("{key}", key), json.dumps(params))
    yield from (Question(route, route.path, "{}") for route in ADMIN_LISTS)
    named = {"feedback_id": own.feedback, "log_id": own.logs, "trace_id": TRACES, "export_id": own.exports}
    for route in BY_ID:
        found = [name for name in named if f"{{{name}}}" in route.path]
        for identity in named[found[0]] if found else [""]:
            yield Question(route, route.path.replace(f"{{{found[0]}}}", identity) if found else route.path, "{}")


def _variants(path: str, filters: Json) -> Iterator[Json]:
    if path.startswith("/v1/analytics/comparison"):
        baseline = {f"baseline_{name}": value for name, value in (filters or {"user": "x"}).items()}
        yield TIMES | {"user": "isolated-user"} | baseline
    elif path == f"{GROUPS}/feedback":
        for field in [DRAWN_FIELD] if filters else GROUPED_BY:
            yield filters | TIMES | {"by": field}
    elif path.startswith("/v1/analytics"):
        yield filters | TIMES
        if path.startswith(GRAPHS) and not filters and not path.endswith("/intervals"):
            yield TIMES | {"read_from": "rows"}
    elif path.endswith("/facets"):
        yield filters | TIMES | {"fields": "user,ai_model,metadata,metadata.note,metadata.topic"}
    else:
        yield filters | {"page_size": "100"}
        if path == "/v1/logs" and not filters:
            yield TIMES | {"page_size": "100", "order_by": "weighted_mean"}
