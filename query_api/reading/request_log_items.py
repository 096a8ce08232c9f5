"""Request logs as they are read back, under Portkey's names for their fields; pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from query_api.reading.feedback_page import ListedFeedback

COLUMNS = """
    toString(l.request_id) AS id, l.trace_id AS trace_id, l.span_id AS span_id, l.parent_span_id AS parent_span_id,
    l.span_name AS span_name, l.provider AS ai_org, l.model AS ai_model, l.method AS method, l.url AS url,
    l.status AS response_status_code, l.response_time_ms AS response_time, l.prompt_tokens AS req_units,
    l.completion_tokens AS res_units, l.total_tokens AS total_units, l.cost AS cost, l._prompt AS prompt_slug,
    l._user AS _user, l._organisation AS _organisation, l._environment AS _environment, l.metadata AS metadata,
    l.started_at AS created_at, l.received_at AS received_at
"""
"""A row of feedback.request_logs called `l`, without its bodies and headers."""

BODIES = ", l.request_headers, l.request_body, l.response_headers, l.response_body"

_MAY_BE_MISSING = (
    *("span_id", "parent_span_id", "span_name", "ai_org", "ai_model", "url", "prompt_slug"),
    *("_user", "_organisation", "_environment"),
)


class RequestLogFields(BaseModel):
    """A request in a list. Null is what its log did not say."""

    model_config = ConfigDict(populate_by_name=True)

    id: str = Field(examples=["01970000-0000-8000-8000-9b11edf90000"])
    trace_id: str = Field(examples=["request-4711"])
    span_id: str | None = Field(examples=["span-1"])
    parent_span_id: str | None
    span_name: str | None = Field(examples=["title"])
    ai_org: str | None = Field(description="Provider.", examples=["openai"])
    ai_model: str | None = Field(examples=["gpt-4o"])
    method: str = Field(examples=["post"])
    url: str | None = Field(description="Without its secrets.", examples=["https://provider.example/v1/chat"])
    response_status_code: int = Field(examples=[200])
    response_time: float | None = Field(description="Milliseconds.", examples=[412])
    req_units: int | None = Field(description="Tokens in.", examples=[12])
    res_units: int | None = Field(description="Tokens out.", examples=[34])
    total_units: int | None = Field(description="Tokens in and out.", examples=[46])
    cost: float | None = Field(description="US cents.", examples=[0.25])
    prompt_slug: str | None = Field(description="The special field `_prompt`.")
    user: str | None = Field(alias="_user", examples=["user-7"])
    organisation: str | None = Field(alias="_organisation")
    environment: str | None = Field(alias="_environment", examples=["production"])
    metadata: dict[str, Any]
    created_at: datetime = Field(description="When the request began, by the clock of the app.")
    received_at: datetime = Field(description="When its log was accepted.")


class Pair(BaseModel):
    """Value and weight of one feedback."""

    id: str = Field(examples=["01970000-0000-8000-8000-9b11edf90000"])
    value: int = Field(examples=[5])
    weight: float = Field(examples=[0.5])


class FeedbackSummary(BaseModel):
    """The numbers of the feedback on a request's trace, over all of it."""

    feedback_count: int | None = Field(
        description="How much feedback stands on the trace, exact; null where the key lacks the scope feedback.read.",
        examples=[1],
    )
    mean_value_weight: float | None = Field(
        description="Σ(value × weight) ÷ count, Portkey's average weighted feedback; null without feedback.",
        examples=[2.5],
    )
    weighted_mean: float | None = Field(
        description="Σ(value × weight) ÷ Σ weight; null where no feedback has weight.", examples=[5.0]
    )


class ListedRequestLog(RequestLogFields, FeedbackSummary):
    """A request with value and weight of the newest feedback on its trace."""

    feedback: list[Pair] | None = Field(
        description="The newest twenty; `feedback_count` tells how many there are. Null where that is null."
    )


class SentRequest(BaseModel):
    """What the app sent to its provider. A body beyond the limit is `{"$truncated": {"bytes": …, "prefix": …}}`."""

    url: str | None
    method: str
    provider: str | None
    headers: dict[str, Any] | None = Field(description="Secrets redacted.")
    body: Any = Field(examples=[{"model": "gpt-4o"}])


class GivenResponse(BaseModel):
    """What the provider answered."""

    status: int
    response_time: float | None
    headers: dict[str, Any] | None = Field(description="Secrets redacted.")
    body: Any = Field(examples=[{"usage": {"total_tokens": 46}}])


class RequestLogDetail(RequestLogFields, FeedbackSummary):
    """Everything that is kept of a request, with the newest feedback on its trace."""

    request: SentRequest
    response: GivenResponse
    feedback: list[ListedFeedback] | None = Field(
        description="The newest fifty of `feedback_count`; `GET /v1/feedback?trace_id=…` lists all. Null where that is"
        " null."
    )


FEEDBACK_NOT_SHOWN: dict[str, Any] = dict.fromkeys((*FeedbackSummary.model_fields, "feedback"))
"""These fields of a request for a caller who may not read feedback."""


def fields_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a Log."""
    absent = {name: row[name] or None for name in _MAY_BE_MISSING}
    return {**row, **absent, "metadata": msgspec.json.decode(row["metadata"] or "{}")}


def parts_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The request and response of a RequestLogDetail, from a row with its BODIES."""
    sent = {"url": row["url"] or None, "method": row["method"], "provider": row["ai_org"] or None}
    given = {"status": row["response_status_code"], "response_time": row["response_time"]}
    for part, name in ((sent, "request"), (given, "response")):
        part |= {what: msgspec.json.decode(row[f"{name}_{what}"] or "null") for what in ("headers", "body")}
    return {"request": SentRequest(**sent), "response": GivenResponse(**given)}
