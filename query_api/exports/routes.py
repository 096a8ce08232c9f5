"""`/v1/logs/exports`: Portkey's life cycle of an export, and the file at a signed address.

Every route but the file's asks who calls, and another workspace's export is not there for it.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import uuid4

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import FileResponse

from query_api.auth import Caller, LogsReader
from query_api.clickhouse import Engines
from query_api.exports import signing
from query_api.exports.columns import CONTENT_TYPES
from query_api.exports.export_status import IN_WORDS, expiry, expiry_of_file, status_of
from query_api.exports.files import folder_in_use, path_of, remove
from query_api.exports.orders import Order, order_in
from query_api.exports.responses import (
    BODY,
    BODY_REFUSED,
    CONFLICT,
    FILE,
    GONE,
    ITS_OWN,
    NO_ROOM,
    OWN,
    PAGE_FAULTY,
    TOO_MANY,
    Acknowledged,
    ExportId,
    ExportList,
    ExportState,
    FileAddress,
    OrderedExport,
)
from query_api.exports.runs import count
from query_api.exports.service import ExportService, check_scopes
from query_api.json_body import json_body
from query_api.settings import QuerySettings
from runtime.http_errors import ApiError
from runtime.times import rfc3339_of

_PAGE_SIZE, _MAX_PAGE_SIZE = 100, 1000


def create_router(settings: QuerySettings, engines: Engines) -> APIRouter:
    """The routes; what they run ends with the app."""
    exports = ExportService(settings, engines)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        exports.runs.sweep_in_background()
        yield
        await exports.runs.stop()

    router = APIRouter(tags=["exports"], lifespan=lifespan)
    _add_orders(router, exports)
    _add_runs(router, exports)
    _add_files(router, exports)
    return router


def _add_orders(router: APIRouter, exports: ExportService) -> None:
    """Exports as they are ordered, listed, looked at and changed."""

    @router.post(
        "/v1/logs/exports",
        summary="Order an export",
        responses=OWN | BODY_REFUSED | TOO_MANY,
        openapi_extra=BODY,
    )
    async def create(request: Request, caller: LogsReader) -> OrderedExport:
        order = _order(await json_body(request), caller, Order.at(datetime.now(UTC)))
        export_id = str(uuid4())
        async with exports.reader.query_deadline("no export was made"):
            total = await count(exports.reader, order, caller.workspace)
            await exports.runs.order(caller.workspace, export_id, order)
        return OrderedExport(id=export_id, total=total)

    @router.get("/v1/logs/exports", summary="The workspace's exports, the newest first", responses=OWN | PAGE_FAULTY)
    async def list_exports(
        caller: LogsReader,
        page_size: Annotated[str, Query(examples=["100"])] = str(_PAGE_SIZE),
        current_page: Annotated[str, Query(description="From 0.", examples=["0"])] = "0",
        workspace_id: Annotated[str | None, Query(description="The caller's own.", examples=["default"])] = None,
    ) -> ExportList:
        size, page = _number(page_size, "page_size", 1, _MAX_PAGE_SIZE), _number(current_page, "current_page", 0, 10**9)
        if workspace_id not in (None, caller.workspace):
            raise ApiError("this caller may not read the workspace", "workspace_id", status=403)
        async with exports.reader.query_deadline("exports cannot be listed"):
            total, listed = await exports.store.latest(caller.workspace, size, size * page)
        data = [status_of(export_id, caller.workspace, one, exports.keep) for export_id, one in listed.items()]
        return ExportList(total=total, data=data)

    @router.get("/v1/logs/exports/{export_id}", summary="An export and how far it is", responses=ITS_OWN)
    async def retrieve(export_id: ExportId, caller: LogsReader) -> ExportState:
        async with exports.reader.query_deadline("the export cannot be read"):
            identity, one = await exports.find(export_id, caller)
        return status_of(identity, caller.workspace, one, exports.keep)

    @router.put(
        "/v1/logs/exports/{export_id}",
        summary="Change what is to be exported",
        responses=ITS_OWN | BODY_REFUSED | CONFLICT,
        openapi_extra=BODY,
    )
    async def update(export_id: ExportId, request: Request, caller: LogsReader) -> OrderedExport:
        body = await json_body(request)
        async with exports.reader.query_deadline("the export was not changed"):
            identity, one = await exports.find(export_id, caller)
            if one.status in ("in_progress", "success"):
                raise ApiError(f"the export is {IN_WORDS[one.status]}: make a new one", "export_id", status=409)
            order = _order(body, caller, one.order)
            total = await count(exports.reader, order, caller.workspace)
            await exports.store.note(caller.workspace, identity, "order", order.as_content())
        return OrderedExport(id=identity, total=total)


def _add_runs(router: APIRouter, exports: ExportService) -> None:
    """Exports as they are started, stopped and deleted."""

    @router.post(
        "/v1/logs/exports/{export_id}/start",
        summary="Run an export",
        responses=ITS_OWN | CONFLICT | TOO_MANY | NO_ROOM,
    )
    async def start(export_id: ExportId, caller: LogsReader) -> Acknowledged:
        async with exports.reader.query_deadline("the export was not started"):
            identity, one = await exports.find(export_id, caller)
            expires_at = expiry(one, exports.keep)
            if expires_at and expires_at > datetime.now(UTC):
                raise ApiError("the export is complete: download it, or make a new one", "export_id", status=409)
            if one.status != "in_progress":
                await exports.runs.start(caller.workspace, identity, one.order, one.attempt + 1)
        return Acknowledged(message="Export started successfully", id=identity)

    @router.post("/v1/logs/exports/{export_id}/cancel", summary="Stop a running export", responses=ITS_OWN | CONFLICT)
    async def cancel(export_id: ExportId, caller: LogsReader) -> Acknowledged:
        async with exports.reader.query_deadline("it is not known whether the export was stopped"):
            identity, one = await exports.find(export_id, caller)
            if one.status not in ("in_progress", "stopped"):
                raise ApiError(
                    f"the export is {IN_WORDS[one.status]}: only one in progress can be stopped",
                    "export_id",
                    status=409,
                )
            if one.status == "in_progress":
                await exports.store.note(caller.workspace, identity, "cancel", {}, one.attempt)
        return Acknowledged(message="Export stopped successfully", id=identity)

    @router.delete(
        "/v1/logs/exports/{export_id}", summary="Delete an export and its file", responses=ITS_OWN | CONFLICT | NO_ROOM
    )
    async def delete(export_id: ExportId, caller: LogsReader) -> Acknowledged:
        async with exports.reader.query_deadline("it is not known whether the export was deleted"):
            identity, one = await exports.find(export_id, caller)
            if one.status == "in_progress":
                raise ApiError("the export is in progress: cancel it first", "export_id", status=409)
            await exports.store.note(caller.workspace, identity, "delete", {}, one.attempt)
            with folder_in_use(exports.folder, "the file of the export, which is deleted, may still be there"):
                await asyncio.to_thread(remove, exports.folder, identity)
        return Acknowledged(message="Export deleted successfully", id=identity)


def _add_files(router: APIRouter, exports: ExportService) -> None:
    """The file of an export, and the signed address where it is."""

    @router.get(
        "/v1/logs/exports/{export_id}/download",
        summary="An address of the file, for whoever has it",
        responses=ITS_OWN | CONFLICT | GONE,
    )
    async def download(export_id: ExportId, caller: LogsReader) -> FileAddress:
        async with exports.reader.query_deadline("no address can be given"):
            identity, one = await exports.find(export_id, caller)
            file_expires_at = expiry_of_file(one, exports.keep, datetime.now(UTC))
            secret = await exports.signing_secret()
        expires = int(min(time.time() + exports.settings.export_url_minutes * 60, file_expires_at.timestamp()))
        query = urlencode({"expires": expires, "signature": signing.signature(secret, identity, expires)})
        return FileAddress(
            signed_url=f"{exports.settings.address}/v1/logs/exports/{identity}/file?{query}",
            expires_at=rfc3339_of(datetime.fromtimestamp(expires, UTC)),
        )

    @router.get(
        "/v1/logs/exports/{export_id}/file",
        summary="The file, at the address that download gave; it takes no key, and Range",
        response_class=FileResponse,
        responses=FILE,
    )
    async def file(
        export_id: ExportId,
        expires: Annotated[str, Query(examples=["1790000000"])] = "",
        signature: Annotated[str, Query(examples=["3f0c…"])] = "",
    ) -> FileResponse:
        async with exports.reader.query_deadline("the file cannot be given"):
            secret = await exports.signing_secret()
            signing.check(secret, export_id, expires, signature, time.time())
            identity, one = await exports.find(export_id, None)
            expiry_of_file(one, exports.keep, datetime.now(UTC))
        path = path_of(exports.folder, identity, one.runner, one.order.format)
        if not os.access(path, os.R_OK):
            raise ApiError(
                "the file is not in FEEDBACK_EXPORT_DIR of the process that answers, or may not be read there: it was"
                " removed by hand, or the processes of the API do not share that folder",
                "export_id",
                status=404,
            )
        return FileResponse(
            path,
            media_type=CONTENT_TYPES[one.order.format],
            filename=f"{one.order.kind}-{identity}.{one.order.format}",
            headers={"cache-control": "private, no-store", "x-content-type-options": "nosniff"},
        )


def _order(body: Any, caller: Caller, before: Order) -> Order:
    """The order in a body, where the caller may read all that its file will tell. Raises ApiError."""
    order = order_in(body, caller.workspace, before, with_feedback="feedback.read" in caller.scopes)
    check_scopes(order, caller)
    return order


def _number(text: str, name: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 15 and least <= int(text) <= most):
        raise ApiError(f"{name} must be a whole number from {least} to {most}, got {text[:60]!r}", name)
    return int(text)
