"""How the queries answer errors, and how their OpenAPI document shows them."""

from collections.abc import Sequence
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response

from runtime.error_response import error_response
from runtime.failure_body import Failure
from runtime.http_errors import ApiError, error_content
from runtime.pydantic_errors import broken_rule


async def _answer(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error_response(error)


async def _answer_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fault = error.errors()[0]
    param = _written(fault["loc"][1:])
    if fault["type"] == "json_invalid":
        return error_response(ApiError(f"the body is not JSON: {fault['ctx']['error']}"))
    if fault["type"] == "missing":
        return error_response(ApiError(f"{param or 'the body'} is required", param))
    rule = broken_rule(fault)
    message = f"{param or 'the body'} {rule}, got {_quoted(fault.get('input'))}"
    return error_response(ApiError(message, param))


def _quoted(value: Any) -> str:
    """A value as a refusal quotes it. What is nested may be so deep that nothing writes it."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = msgspec.json.encode(value, enc_hook=str).decode()
    return text if len(text) <= 60 else f"{text[:59]}…"


def _written(place: Sequence[str | int]) -> str | None:
    """A parameter's or field's place as callers write it: `filters.tags[2]`; None for the whole body."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".") or None


def answer_refusals(app: FastAPI) -> None:
    """Have the app answer ApiError, and parameters that are not as declared, as the HTTP API answers a refusal."""
    app.add_exception_handler(ApiError, _answer)
    app.add_exception_handler(RequestValidationError, _answer_invalid)


def example(status: int, message: str, param: str | None = None) -> dict[str, Any]:
    """One response of an OpenAPI operation: the error body with this message."""
    content = {"application/json": {"example": error_content(status, message, param)}}
    return {"model": Failure, "content": content}
