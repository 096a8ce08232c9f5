"""Answers of ClickHouse's HTTP interface: statuses by error names, content types by formats.

Pure. The statuses are those of a ClickHouse server, so that clients classify and retry errors in the same way.
"""

from dataclasses import dataclass
from typing import Any

_STATUS_NAMES = {
    400: "BAD_ARGUMENTS CANNOT_COMPILE_REGEXP DUPLICATE_COLUMN ILLEGAL_COLUMN INCORRECT_DATA SYNTAX_ERROR"
    " THERE_IS_NO_COLUMN TOO_BIG_AST TOO_DEEP_AST TYPE_MISMATCH UNEXPECTED_AST_STRUCTURE UNKNOWN_ELEMENT_IN_AST"
    " UNKNOWN_TYPE_OF_AST_NODE VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE CANNOT_PARSE_TEXT CANNOT_PARSE_ESCAPE_SEQUENCE"
    " CANNOT_PARSE_QUOTED_STRING CANNOT_PARSE_DATE CANNOT_PARSE_DATETIME CANNOT_PARSE_NUMBER CANNOT_PARSE_UUID"
    " CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING CANNOT_PARSE_IPV4 CANNOT_PARSE_IPV6 CANNOT_PARSE_INPUT_ASSERTION_FAILED"
    " BAD_QUERY_PARAMETER UNKNOWN_QUERY_PARAMETER",
    401: "REQUIRED_PASSWORD",
    403: "ACCESS_DENIED AUTHENTICATION_FAILED",
    404: "UNKNOWN_AGGREGATE_FUNCTION UNKNOWN_DATABASE UNKNOWN_DATABASE_ENGINE UNKNOWN_FORMAT UNKNOWN_FUNCTION"
    " UNKNOWN_IDENTIFIER UNKNOWN_SETTING UNKNOWN_STORAGE UNKNOWN_TABLE UNKNOWN_TYPE UNKNOWN_TYPE_OF_QUERY",
    408: "TIMEOUT_EXCEEDED",
    413: "QUERY_IS_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    501: "NOT_IMPLEMENTED",
}
_STATUS = {name: status for status, names in _STATUS_NAMES.items() for name in names.split()}

_TEXT_TYPES = {"tab": "text/tab-separated-values", "tsv": "text/tab-separated-values", "csv": "text/csv"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP response. `holder` keeps the memory of `body` until it is sent."""

    status: int
    headers: dict[str, str]
    body: bytes | memoryview
    holder: Any = None


def text(status: int, text: str) -> Answer:
    return Answer(status, {"Content-Type": "text/plain; charset=UTF-8"}, text.encode())


def failure(code: int, name: str, text: str, headers: dict[str, str] | None = None) -> Answer:
    return Answer(
        _STATUS.get(name, 500),
        {
            **(headers or {}),
            "Content-Type": "text/plain; charset=UTF-8",
            "X-ClickHouse-Exception-Code": str(code),
        },
        text.encode() + b"\n",
    )


def content_type(output_format: str) -> str:
    name = output_format.lower()
    if name.startswith("json"):
        return "application/x-ndjson; charset=UTF-8" if "eachrow" in name else "application/json; charset=UTF-8"
    kind = _TEXT_TYPES.get(name[:3])
    if kind is None:
        return (
            "text/plain; charset=UTF-8"
            if name.startswith(("pretty", "vertical", "values"))
            else "application/octet-stream"
        )
    return f"{kind}; charset=UTF-8"


class BadRequestError(ValueError):
    """The request is not a valid statement. `code` and `name` are those of ClickHouse for such an error."""

    def __init__(self, message: str, code: int = 36, name: str = "BAD_ARGUMENTS") -> None:
        super().__init__(message)
        self.code, self.name = code, name
