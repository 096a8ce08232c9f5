"""The body of every refusal and failure, as the OpenAPI document shows it; http_errors writes it.

These are classes of Pydantic, which makes their schema once. That of a TypedDict it makes anew for each response of
each route, which took an API a tenth of a second at its start.
"""

from typing import Literal

from pydantic import BaseModel, Field


class ErrorDetail(BaseModel):
    """The message, its code, and the parameter or field at fault."""

    message: str
    code: str
    param: str | None


class ErrorData(BaseModel):
    """The message and code as Portkey's platform has them."""

    message: str
    error_code: str = Field(alias="errorCode")


class Failure(BaseModel):
    """A failed request. Nothing was accepted, unless a 503 says that the outcome is not known."""

    status: Literal["failure"]
    success: Literal[False]
    message: str
    error: ErrorDetail
    data: ErrorData
