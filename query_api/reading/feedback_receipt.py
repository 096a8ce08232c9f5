"""`GET /v1/feedback/{id}`: what became of a feedback, from ClickHouse and from what waits in Kafka."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, FastAPI, Path

from query_api.auth import REFUSALS, FeedbackReader
from query_api.clickhouse import Engines
from query_api.errors import example
from query_api.reading.pending_records import PendingRecords
from query_api.reading.receipts import Receipt, queued, receipt
from query_api.reading.stored_feedback import read_stored
from query_api.settings import QuerySettings
from runtime.http_errors import ApiError
from schemas.ids import id_in, is_ours, trace_hash_of


def create_router(settings: QuerySettings, engines: Engines) -> APIRouter:
    """The route."""
    reader = engines.reader(settings.receipt_timeout_s)
    pending = PendingRecords(settings.kafka_bootstrap, settings.consumer_group)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await pending.close()

    router = APIRouter(tags=["reading"], responses=REFUSALS, lifespan=lifespan)

    async def find(workspace: str, identity: UUID) -> Receipt | None:
        feedback_id, trace_hash = str(identity), trace_hash_of(identity)
        found = receipt(feedback_id, await read_stored(reader, workspace, feedback_id, trace_hash))
        if found is not None:
            return found
        if await pending.hold(workspace, feedback_id, trace_hash):
            return queued(feedback_id)
        # It may have been stored while Kafka was asked.
        return receipt(feedback_id, await read_stored(reader, workspace, feedback_id, trace_hash))

    @router.get(
        "/v1/feedback/{feedback_id}",
        summary="What became of a feedback",
        response_model_by_alias=True,
        responses={
            404: {
                "description": "No such feedback was ever accepted.",
                **example(404, "there is no feedback", "feedback_id"),
            },
            503: {"description": "An engine does not answer.", **example(503, "ClickHouse does not answer")},
        },
    )
    async def get_feedback(
        feedback_id: Annotated[str, Path(examples=["01970000-0000-8000-8000-9b11edf90000"])], caller: FeedbackReader
    ) -> Receipt:
        identity = id_in(feedback_id)
        if identity is None or not is_ours(identity):
            raise _none(feedback_id, "ids of feedback are UUIDs of version 8, as the create call answers them")
        async with reader.query_deadline("what became of it cannot be read", awaited=""):
            found = await find(caller.workspace, identity)
        if found is None:
            raise _none(feedback_id, "none was accepted under it, or it has been erased")
        return found

    return router


def _none(feedback_id: str, why: str) -> ApiError:
    return ApiError(f"there is no feedback with the id {feedback_id[:60]!r}: {why}", "feedback_id", status=404)
