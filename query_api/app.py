"""The queries as one FastAPI router, with engines that are opened at the first question.

An engine that is away is a 503 that says which one; an answer is never guessed.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import APIRouter, FastAPI

from query_api import caller_info
from query_api.analytics import (
    comparison,
    feedback_graphs,
    feedback_group_routes,
    interval_graph,
    metadata_group_routes,
    request_graphs,
    request_group_routes,
)
from query_api.api_key_feed import refreshing
from query_api.auth import install_auth
from query_api.clickhouse import Engines
from query_api.errors import answer_refusals
from query_api.exports import routes as exports
from query_api.facets import routes as facets
from query_api.read_rate_limits import limit_reads
from query_api.reading import feedback_list, feedback_receipt, request_logs, traces
from query_api.settings import QuerySettings
from runtime.api_key_authentication import ApiKeyAuthenticator
from runtime.api_key_store import ApiKeyStore


def add_queries(app: FastAPI, settings: QuerySettings, keys: ApiKeyStore) -> None:
    """Add the routes to an app that has its own and shares its keys; what they open is closed with the app."""
    engines = Engines(settings)
    authenticator = ApiKeyAuthenticator("ClickHouse", keys)

    # Facets and exports come first: the paths of one feedback or request, /v1/logs/{log_id}, would take theirs.
    features = (
        caller_info,
        facets,
        feedback_list,
        feedback_receipt,
        exports,
        request_logs,
        traces,
        feedback_graphs,
        metadata_group_routes,
        feedback_group_routes,
        interval_graph,
        comparison,
        request_graphs,
        request_group_routes,
    )
    routers = [feature.create_router(settings, engines) for feature in features]

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with refreshing(authenticator, engines), AsyncExitStack() as opened:
            for router in routers:
                await opened.enter_async_context(router.lifespan_context(app))
            yield
        await engines.close()

    app.include_router(APIRouter(lifespan=lifespan))
    for router in routers:
        # Not include_router, by which FastAPI reads the signatures of all routes once more.
        app.router.routes.extend(router.routes)
    answer_refusals(app)
    install_auth(app, authenticator)
    limit_reads(app, settings.read_rate_limit_per_s)
