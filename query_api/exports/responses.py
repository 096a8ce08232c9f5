"""What the export routes take and answer, as models and as OpenAPI describes it."""

from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, Field

from query_api.auth import REFUSALS
from query_api.clickhouse import AWAY
from query_api.errors import example
from query_api.exports.columns import COLUMNS, CONTENT_TYPES, FORMATS
from query_api.exports.state import Status

Responses = dict[int | str, dict[str, Any]]

_ID = "3f0c9f52-8a52-4a5e-9a3c-1f6a7d2b9c10"


ExportId = Annotated[str, Path(examples=[_ID])]


class OrderedExport(BaseModel):
    """An export that was ordered or changed, and how many rows it would have now."""

    id: str = Field(examples=[_ID])
    total: int = Field(examples=[1200])
    object: Literal["export"] = "export"


class Acknowledged(BaseModel):
    """It was started, stopped or deleted."""

    message: str = Field(examples=["Export started successfully"])
    id: str = Field(examples=[_ID])
    object: Literal["export"] = "export"


class ExportStateProgress(BaseModel):
    """How far it is. `rows_total` was counted when it began; `rows_done` is null where only the whole file tells."""

    rows_total: int | None = Field(examples=[1200])
    rows_done: int | None = Field(examples=[800])
    bytes_written: int = Field(examples=[102400])


class ExportState(BaseModel):
    """An export as it stands."""

    id: str = Field(examples=[_ID])
    organisation_id: None = None
    workspace_id: str = Field(examples=["default"])
    object: Literal["export"] = "export"
    status: Status
    description: str | None = Field(examples=["January"])
    filters: dict[str, Any] = Field(examples=[{"ai_model": "gpt-4o"}])
    requested_data: list[str] = Field(examples=[["id", "trace_id", "ai_model"]])
    kind: Literal["logs", "feedback"]
    format: Literal["jsonl", "csv", "parquet"]
    created_at: str = Field(examples=["2026-01-31T12:00:00.123Z"])
    created_by: None = None
    last_updated_at: str = Field(examples=["2026-01-31T12:00:05.123Z"])
    total_records: int | None = Field(examples=[1200])
    progress: ExportStateProgress
    error: str | None = Field(description="Why it failed.")
    expires_at: str | None = Field(description="Until when the file is there.", examples=["2026-02-03T12:00:05.123Z"])


class ExportList(BaseModel):
    """A page of the workspace's exports, the newest first."""

    object: Literal["list"] = "list"
    total: int = Field(description="Exports on all pages.", examples=[1])
    data: list[ExportState]


class FileAddress(BaseModel):
    """Where the file is, for whoever has the address."""

    signed_url: str = Field(examples=[f"https://feedback.example.com/v1/logs/exports/{_ID}/file?expires=…&signature=…"])
    expires_at: str = Field(examples=["2026-01-31T13:00:05.000Z"])


FAULTY: Responses = {
    400: {"description": "A field or parameter is not valid.", **example(400, "filters must be an object", "filters")}
}
PAGE_FAULTY: Responses = {
    400: {
        "description": "A parameter is not valid.",
        **example(400, "page_size must be a whole number from 1 to 1000, got '0'", "page_size"),
    }
}
BODY_REFUSED: Responses = FAULTY | {
    408: {"description": "The body did not arrive in time.", **example(408, "the request did not arrive whole")},
    413: {"description": "The body is too large.", **example(413, "the body must not be larger than 1000000 bytes")},
}
UNKNOWN: Responses = {
    404: {"description": "No such export in the workspace.", **example(404, "there is no export", "export_id")}
}
CONFLICT: Responses = {
    409: {"description": "Not in this state.", **example(409, "the export is complete: make a new one", "export_id")}
}
TOO_MANY: Responses = {
    429: {
        "description": "The workspace has too many exports, or the key asks more questions than it may.",
        "headers": {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}},
        **example(429, "10 exports of this workspace are in progress: wait until one has ended, or cancel one"),
    }
}
NO_ROOM: Responses = {
    507: {
        "description": "Files of the workspace, or of all, take as much as they may, the disk is nearly full, or their"
        " folder cannot be used.",
        **example(507, "the exported files of this workspace take 10000000000 bytes: delete one"),
    }
}
GONE: Responses = {
    410: {"description": "The file's time is over.", **example(410, "the file was removed", "export_id")}
}
OWN: Responses = REFUSALS | {503: AWAY}
"""Of every route that asks who calls."""
ITS_OWN: Responses = OWN | UNKNOWN
"""Of every route that names an export."""

_BYTES = {kind.partition(";")[0]: {"schema": {"type": "string"}} for kind in CONTENT_TYPES.values()}
FILE: Responses = {
    200: {"description": "The file.", "content": _BYTES},
    206: {"description": "The part of it that Range asks for.", "content": _BYTES},
    400: {"description": "Range is not valid.", "content": {"text/plain": {"schema": {"type": "string"}}}},
    403: {
        "description": "Not an address that was given.",
        **example(403, "this address was changed or never given out", "signature"),
    },
    404: UNKNOWN[404] | {"description": "The file is not in the folder of the process that answers."},
    409: CONFLICT[409],
    410: {"description": "Its time is over.", **example(410, "this address has expired", "expires")},
    416: {"description": "The file has no such part.", "content": {"text/plain": {"schema": {"type": "string"}}}},
    503: AWAY,
}

_ORDER = {
    "filters": {"time_of_generation_min": "2026-01-01T00:00:00Z", "ai_model": "gpt-4o"},
    "requested_data": ["id", "trace_id", "ai_model", "metadata"],
    "description": "January",
}
BODY = {
    "requestBody": {
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "filters": {
                            "type": "object",
                            "description": "As the parameters of analytics, of feedback also those of GET /v1/feedback;"
                            " page_size and current_page take a part of the rows.",
                        },
                        "requested_data": {
                            "type": "array",
                            "items": {"enum": sorted({*COLUMNS["logs"], *COLUMNS["feedback"]})},
                            "description": "Columns; all where it is left out. Of logs: "
                            + ", ".join(COLUMNS["logs"])
                            + ". Of feedback: "
                            + ", ".join(COLUMNS["feedback"]),
                        },
                        "description": {"type": "string"},
                        "workspace_id": {"type": "string", "description": "The caller's own; another is refused."},
                        "format": {"enum": list(FORMATS), "default": "jsonl"},
                        "kind": {"enum": list(COLUMNS), "default": "logs"},
                    },
                },
                "examples": {
                    "logs": {"value": _ORDER},
                    "feedback": {"value": {"kind": "feedback", "format": "csv", "filters": {"user": "user-7"}}},
                    "all": {"value": {}},
                },
            }
        }
    }
}
