"""Refusals of the queries: raised anywhere below a route, answered in the one error body of the HTTP API."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from schemas.failures import error_content


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


def answer_refusals(app: FastAPI) -> None:
    """Have the app answer QueryError as the HTTP API answers what it refuses."""
    app.add_exception_handler(QueryError, _answer)


def example(status: int, message: str, param: str | None = None) -> dict[str, Any]:
    """One response of an OpenAPI operation: the error body with this message."""
    return {"content": {"application/json": {"example": error_content(status, message, param)}}}
