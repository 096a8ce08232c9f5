"""`GET /v1/analytics/groups/…` of requests: by user, model, provider, prompt, status and workspace.

Some fields can be asked for under two names, since Portkey's clients do.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field

from query_api.analytics.parameters import FAILURES, NO_ANSWER
from query_api.analytics.request_groups import (
    PARAMETER_NAMES,
    PARAMETERS,
    GroupedBy,
    RequestGroup,
    groups_asked,
    groups_of_requests,
)
from query_api.analytics.responses import Groups
from query_api.auth import AnalyticsReader
from query_api.clickhouse import Engines, Reader
from query_api.filters.parameters import filters_in_query, openapi_parameters
from query_api.settings import QuerySettings

_VALUE = "Empty where there is none."


class RequestsOfUser(RequestGroup):
    """Requests of one user."""

    user: str = Field(description=_VALUE, examples=["user-7"])


class RequestsToAiModel(RequestGroup):
    """Requests to one model."""

    ai_model: str = Field(description=_VALUE, examples=["gpt-4o"])


class RequestsToModel(RequestGroup):
    """Requests to one model."""

    model: str = Field(description=_VALUE, examples=["gpt-4o"])


class RequestsToProvider(RequestGroup):
    """Requests to one provider."""

    provider: str = Field(description=_VALUE, examples=["openai"])


class RequestsToService(RequestGroup):
    """Requests to one provider."""

    ai_service: str = Field(description=_VALUE, examples=["openai"])


class RequestsOfPrompt(RequestGroup):
    """Requests with one prompt."""

    prompt: str = Field(description=_VALUE, examples=["greeting"])


class RequestsWithStatus(RequestGroup):
    """Requests with one HTTP status."""

    status_code: int = Field(examples=[429])


class RequestsOfWorkspace(RequestGroup):
    """Requests of the caller's workspace."""

    workspace: str = Field(examples=["default"])


@dataclass(frozen=True)
class _Groups:
    """A list of groups: its path, what its groups have in common and how they call it."""

    path: str
    grouped_by: GroupedBy
    field: str
    answer: Any
    summary: str


_GROUPS = (
    _Groups("users", "user", "user", Groups[RequestsOfUser], "Requests by user"),
    _Groups("ai-models", "model", "ai_model", Groups[RequestsToAiModel], "Requests by model"),
    _Groups("model", "model", "model", Groups[RequestsToModel], "Requests by model"),
    _Groups("provider", "provider", "provider", Groups[RequestsToProvider], "Requests by provider"),
    _Groups("ai_service", "provider", "ai_service", Groups[RequestsToService], "Requests by provider"),
    _Groups("prompt", "prompt", "prompt", Groups[RequestsOfPrompt], "Requests by prompt"),
    _Groups("status_code", "status", "status_code", Groups[RequestsWithStatus], "Requests by HTTP status"),
    _Groups("workspaces", "workspace", "workspace", Groups[RequestsOfWorkspace], "Requests of the caller's workspace"),
    _Groups("workspace", "workspace", "workspace", Groups[RequestsOfWorkspace], "Requests of the caller's workspace"),
)


def create_router(settings: QuerySettings, engines: Engines) -> APIRouter:
    """The routes."""
    reader = engines.reader(settings.analytics_timeout_s)
    router = APIRouter(prefix="/v1/analytics/groups", tags=["analytics"])
    for each in _GROUPS:
        router.add_api_route(
            f"/{each.path}",
            _grouped(reader, each),
            response_model=each.answer,
            response_model_exclude_unset=True,
            summary=each.summary,
            responses=FAILURES,
            openapi_extra={"parameters": [*openapi_parameters(time_required=True), *PARAMETERS]},
        )
    return router


def _grouped(
    reader: Reader, groups: _Groups
) -> Callable[[Request, AnalyticsReader], Coroutine[Any, Any, dict[str, Any]]]:
    async def answer(request: Request, caller: AnalyticsReader) -> dict[str, Any]:
        query = request.query_params
        filters = filters_in_query(query, caller.workspace, PARAMETER_NAMES, time_required=True)
        asked = groups_asked(query)
        async with reader.query_deadline(NO_ANSWER):
            total, found = await groups_of_requests(reader, filters, groups.grouped_by, asked)
        data = [{groups.field: value, **group.model_dump(exclude_unset=True)} for value, group in found]
        return {"object": "list", "total": total, "data": data}

    return answer
