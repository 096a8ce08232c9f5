"""Runs operators' commands for the HTTP API: in threads, a few at a time, with their errors turned into answers."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from clickhouse_connect.driver.client import Client
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from operations.admin_api.settings import AdminSettings
from operations.connections import CommandError, EngineError, clickhouse
from operations.dead_letters.selection import WorkerGroup
from query_api.errors import example
from query_api.settings import QuerySettings
from runtime.http_errors import ApiError, retry_after
from runtime.log_setup import safe_error_text
from runtime.metrics import QUERY_FAILURES

Result = TypeVar("Result")
Body = TypeVar("Body", bound=BaseModel)
Responses = dict[int | str, dict[str, Any]]

AWAY: Responses = {
    503: {
        "description": "An engine does not answer.",
        **example(503, "Kafka does not answer in time, so nothing was sent"),
    }
}
BODY_REFUSED: Responses = {
    400: {"description": "A field is not valid.", **example(400, "places must be a list", "places")},
    408: {"description": "The body did not arrive in time.", **example(408, "the request did not arrive whole")},
    413: {"description": "The body is too large.", **example(413, "the body must not be larger than 1000000 bytes")},
}
_AT_ONCE = 4

log = logging.getLogger(__name__)


class Commands:
    """The addresses that commands need, and the threads that run them."""

    def __init__(self, settings: QuerySettings, admin: AdminSettings) -> None:
        self.clickhouse_url = settings.clickhouse_url
        self.workers = WorkerGroup(settings.kafka_bootstrap, settings.consumer_group, admin.offset_base)
        self.rollup_group = admin.rollup_group
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def run(self, otherwise: str, work: Callable[[Client], Result]) -> Result:
        """The result of the work. ApiError 503 with `otherwise`, as in "nothing was sent", where an engine is away."""
        async with self._free:
            try:
                return await asyncio.to_thread(self._with_client, work)
            except EngineError as error:
                log.warning("%s: %s", otherwise, safe_error_text(error.__cause__ or error))
                QUERY_FAILURES.add(error.engine.lower())
                raise _unavailable(f"{error.engine} does not answer in time, so {otherwise}") from None
            except OSError as error:
                log.warning("%s: %s", otherwise, safe_error_text(error))
                QUERY_FAILURES.add("any")
                raise _unavailable(f"Kafka or ClickHouse does not answer in time, so {otherwise}") from None

    def _with_client(self, work: Callable[[Client], Result]) -> Result:
        try:
            with clickhouse(self.clickhouse_url) as client:
                return work(client)
        except EngineError:
            raise
        except CommandError as error:
            if type(error) is not CommandError:
                raise
            log.warning("a command of the HTTP API: %s", error)
            raise _unavailable("the topics or tables are not those of this version: see the log of the API") from None


def read_body(model: type[Body], body: object) -> Body:
    """The body as this model. RequestValidationError, which names the field, where it is not valid."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors(include_url=False)]
        raise RequestValidationError(faults) from None


def body_of(model: type[BaseModel], **examples: Any) -> dict[str, Any]:
    """The OpenAPI description of this request body."""
    named = {name: {"value": value} for name, value in examples.items()}
    content = {"application/json": {"schema": model.model_json_schema(), "examples": named}}
    return {"requestBody": {"required": True, "content": content}}


def _unavailable(message: str) -> ApiError:
    return ApiError(message, status=503, headers=retry_after())
