"""The names under which conventions have what a request log has, first those that count first. Pure.

`gen_ai.…` are OpenTelemetry's semantic conventions, with the names that they had before; `llm.…` and `openinference.…`
are OpenInference's, and a few others are OpenLLMetry's. docs/opentelemetry.md has the same as a table, which a test
compares with this.
"""

from typing import Any

from ingest_api.otlp.telemetry_data import Attributes
from ingest_api.validation.numbers import cents_of
from schemas.limits import HIGHEST_AMOUNT, HIGHEST_STATUS, HIGHEST_TOKENS

PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "llm.vendor")
ASKED_MODEL = ("gen_ai.request.model", "llm.request.model")
ANSWERING_MODEL = ("llm.model_name", "embedding.model_name", "gen_ai.response.model", "llm.response.model")
"""Taken where neither the attributes nor the body say which model was asked for."""
PROMPT_TOKENS = (
    *("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    "llm.usage.prompt_tokens",
)
COMPLETION_TOKENS = (
    *("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"),
    "llm.usage.completion_tokens",
)
TOTAL_TOKENS = ("gen_ai.usage.total_tokens", "llm.token_count.total", "llm.usage.total_tokens")
DOLLARS = ("gen_ai.usage.cost", "llm.cost.total", "gen_ai.cost.total_cost")
STATUS = ("http.response.status_code", "http.status_code")
METHOD = ("http.request.method", "http.method")
URL = ("url.full", "http.url")
SPECIALS = {
    "_user": ("user.id", "enduser.id", "gen_ai.user.id", "llm.user", "ai.telemetry.metadata.userId"),
    "_organisation": ("organisation.id", "organization.id", "organisation", "organization"),
    "_prompt": ("gen_ai.prompt.name", "prompt.id"),
    "_environment": ("deployment.environment.name", "deployment.environment"),
}

SPAN_KIND, OPERATION, OTHER_SPAN_KIND = "openinference.span.kind", "gen_ai.operation.name", "traceloop.span.kind"
MODEL_CALLS = frozenset({"LLM", "EMBEDDING"})
"""Of OpenInference's kinds of spans, those that are calls to a model."""
NO_MODEL_CALLS = frozenset(
    {
        *("create_agent", "invoke_agent", "invoke_workflow", "execute_tool", "retrieval", "handoff", "plan"),
        *("search_memory", "create_memory", "update_memory", "upsert_memory", "delete_memory"),
        *("create_memory_store", "delete_memory_store"),
    }
)
"""Operations around calls to a model: their spans repeat the tokens of the calls within them."""
_SIGNS = (OPERATION, "gen_ai.provider.name", "gen_ai.system", "gen_ai.request.model", "gen_ai.response.model",
          "llm.model_name", "llm.request.type")  # fmt: skip


def is_model_call(attributes: Attributes) -> bool:
    """Whether a span with these attributes is a call to a model, and so a request."""
    kind = attributes.get(SPAN_KIND)
    if kind is not None:
        return isinstance(kind, str) and kind.upper() in MODEL_CALLS
    operation = attributes.get(OPERATION)
    if OTHER_SPAN_KIND in attributes or (isinstance(operation, str) and operation in NO_MODEL_CALLS):
        return False
    return any(name in attributes for name in _SIGNS)


def take_text(attributes: Attributes, names: tuple[str, ...]) -> str | None:
    """The first text under any of the names, taken out of the attributes; what is no text stays there."""
    for name in names:
        if name in attributes:
            value = attributes[name]
            if isinstance(value, str) and value:
                del attributes[name]
                return value
    return None


def take_count(attributes: Attributes, names: tuple[str, ...], most: int = HIGHEST_TOKENS) -> int | None:
    """The first whole number from 0 to `most` under any of the names, taken out of the attributes."""
    for name in names:
        if name in attributes:
            count = _count(attributes[name])
            if count is not None and 0 <= count <= most:
                del attributes[name]
                return count
    return None


def take_status(attributes: Attributes) -> int | None:
    """The HTTP status, taken out of the attributes."""
    return take_count(attributes, STATUS, HIGHEST_STATUS)


def take_cents(attributes: Attributes) -> float | None:
    """The cost in US cents, from one in US dollars that is taken out of the attributes."""
    for name in DOLLARS:
        value = attributes.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) * 100 <= HIGHEST_AMOUNT:
            del attributes[name]
            return cents_of(value)
    return None


def _count(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(value) if isinstance(value, str) and len(value) <= 16 and value.isascii() and value.isdigit() else None
