"""The queries as a FastAPI router, with engines that are opened at the first question.

An engine that is away is a 503 that says which one; an answer is never guessed.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import RFC_4122, UUID

import clickhouse_connect
from aiokafka.errors import KafkaError
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import ClickHouseError
from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse, Response

from query_api.receipts import Receipt, queued, receipt
from query_api.settings import QuerySettings
from query_api.stored import stored
from query_api.waiting import is_waiting
from schemas.failures import error_content
from schemas.ids import trace_hash_of

# The one workspace there is while callers are not told apart.
WORKSPACE = "default"
RETRY_AFTER_S = 1

log = logging.getLogger(__name__)


class Engines:
    """ClickHouse, connected when it is first needed."""

    def __init__(self, settings: QuerySettings) -> None:
        self._settings = settings
        self._client: AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def clickhouse(self) -> AsyncClient:
        """Raises ClickHouseError where it does not answer."""
        async with self._opening:
            if self._client is None:
                self._client = await clickhouse_connect.get_async_client(
                    dsn=self._settings.clickhouse_url, autogenerate_session_id=False
                )
            return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


def create_router(settings: QuerySettings) -> APIRouter:
    """The routes; their lifespan closes what they have opened."""
    engines = Engines(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await engines.close()

    router = APIRouter(lifespan=lifespan)

    async def find(identity: UUID) -> Receipt | None:
        feedback_id, trace_hash = str(identity), trace_hash_of(identity)
        client = await engines.clickhouse()
        told = receipt(feedback_id, await stored(client, WORKSPACE, feedback_id, trace_hash))
        if told is not None:
            return told
        if await is_waiting(settings.kafka_bootstrap, settings.consumer_group, feedback_id, trace_hash):
            return queued(feedback_id)
        # It may have been stored while Kafka was asked.
        return receipt(feedback_id, await stored(client, WORKSPACE, feedback_id, trace_hash))

    @router.get(
        "/v1/feedback/{feedback_id}",
        tags=["reading"],
        summary="What became of a feedback",
        response_model=Receipt,
        response_model_by_alias=True,
        responses={
            404: {"description": "No such feedback was ever accepted.", **_example(404, "there is no feedback")},
            503: {"description": "An engine does not answer.", **_example(503, "ClickHouse does not answer")},
        },
    )
    async def get_feedback(feedback_id: str) -> Any:
        identity = _known_form(feedback_id)
        if identity is None:
            return _none(feedback_id, "ids of feedback are UUIDs of version 8, as the create call answers them")
        try:
            async with asyncio.timeout(settings.receipt_timeout_s):
                told = await find(identity)
        except (ClickHouseError, KafkaError, TimeoutError, OSError) as error:
            log.warning("a receipt could not be given: %s", " ".join(str(error).split())[:300] or type(error).__name__)
            away = {KafkaError: "Kafka", TimeoutError: "Kafka or ClickHouse"}
            engine = next((name for kind, name in away.items() if isinstance(error, kind)), "ClickHouse")
            return _unavailable(f"{engine} does not answer in time, so it cannot be told what became of it")
        return told or _none(feedback_id, "none was accepted under it, or it has been erased")

    return router


def _known_form(text: str) -> UUID | None:
    try:
        identity = UUID(text)
    except ValueError:
        return None
    return identity if identity.version == 8 and identity.variant == RFC_4122 and len(text) == 36 else None


def _none(feedback_id: str, why: str) -> Response:
    message = f"there is no feedback with the id {feedback_id[:60]!r}: {why}"
    return JSONResponse(error_content(404, message, "feedback_id"), 404)


def _unavailable(message: str) -> Response:
    return JSONResponse(error_content(503, message), 503, {"retry-after": str(RETRY_AFTER_S)})


def _example(status: int, message: str) -> dict[str, Any]:
    return {"content": {"application/json": {"example": error_content(status, message)}}}
