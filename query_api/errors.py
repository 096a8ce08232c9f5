"""Refusals of the queries: raised anywhere below a route, answered in the one error body of the HTTP API."""

from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response

from runtime.http_errors import Failure, error_content


class QueryError(Exception):
    """A question that gets no answer: its HTTP status, one sentence, and the parameter at fault where there is one."""

    def __init__(
        self, message: str, param: str | None = None, status: int = 400, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.status = status
        self.headers = headers


async def _answer(_: Request, error: Exception) -> Response:
    assert isinstance(error, QueryError)
    return JSONResponse(error_content(error.status, error.message, error.param), error.status, error.headers)


async def _answer_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fault = error.errors()[0]
    param = _written(fault["loc"][1:])
    if fault["type"] == "json_invalid":
        return JSONResponse(error_content(400, f"the body is not JSON: {fault['ctx']['error']}"), 400)
    if fault["type"] == "missing":
        return JSONResponse(error_content(400, f"{param or 'the body'} is required", param), 400)
    rule = fault["msg"].removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
    told = f"{param or 'the body'} {rule}, got {_quoted(fault.get('input'))}"
    return JSONResponse(error_content(400, told, param), 400)


def _quoted(value: Any) -> str:
    """A value as a refusal quotes it. What is nested may be so deep that nothing writes it."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = orjson.dumps(value, default=str).decode()
    return text if len(text) <= 60 else f"{text[:59]}…"


def _written(place: Sequence[str | int]) -> str | None:
    """A parameter's or field's place as callers write it: `filters.tags[2]`; None for the whole body."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".") or None


def answer_refusals(app: FastAPI) -> None:
    """Have the app answer QueryError, and parameters that are not as declared, as the HTTP API answers a refusal."""
    app.add_exception_handler(QueryError, _answer)
    app.add_exception_handler(RequestValidationError, _answer_invalid)


def example(status: int, message: str, param: str | None = None) -> dict[str, Any]:
    """One response of an OpenAPI operation: the error body with this message."""
    content = {"application/json": {"example": error_content(status, message, param)}}
    return {"model": Failure, "content": content}
