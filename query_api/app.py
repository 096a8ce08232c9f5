"""The queries as one FastAPI router, with engines that are opened at the first question.

An engine that is away is a 503 that says which one; an answer is never guessed.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from query_api import feedback_receipt
from query_api.answers import answer_refusals
from query_api.engines import Engines
from query_api.exports import routes as exports
from query_api.settings import QuerySettings


def add_queries(app: FastAPI, settings: QuerySettings) -> None:
    """Add the routes to an app that has its own; what they open is closed with the app."""
    engines = Engines(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await engines.close()

    router = APIRouter(lifespan=lifespan)
    router.include_router(feedback_receipt.create_router(settings, engines))
    router.include_router(exports.create_router(settings, engines))
    app.include_router(router)
    answer_refusals(app)
