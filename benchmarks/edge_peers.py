"""What the edge is measured beside: the limit, bare ASGI; and the peer, FastAPI as its documentation teaches it.

Served by `uvicorn benchmarks.edge_peers:hello` and `:plain_fastapi`, on the same server as ours.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, Request
from pydantic import BaseModel, Field

from schemas.topics import FEEDBACK_EVENTS

_HELLO = b'{"status":"success"}'
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(_HELLO)).encode())]


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """The least that an HTTP answer costs to whoever reads what was posted."""
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": _HELLO})


class Feedback(BaseModel):
    trace_id: str = Field(min_length=1, max_length=512)
    value: int = Field(ge=-10, le=10)
    weight: float = Field(1.0, ge=0, le=1)
    metadata: dict[str, Any] = {}


class Saved(BaseModel):
    status: str


@asynccontextmanager
async def _producer(app: FastAPI) -> AsyncIterator[None]:
    async with AIOKafkaProducer(bootstrap_servers=os.environ["FEEDBACK_KAFKA_BOOTSTRAP"], acks="all") as producer:
        app.state.producer = producer
        yield


plain_fastapi = FastAPI(lifespan=_producer)


@plain_fastapi.post("/v1/feedback")
async def create(feedback: Feedback, request: Request) -> Saved:
    await request.app.state.producer.send_and_wait(
        FEEDBACK_EVENTS, feedback.model_dump_json().encode(), key=feedback.trace_id.encode()
    )
    return Saved(status="success")
