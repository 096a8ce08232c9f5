"""What the edge is measured beside: the limit, bare ASGI; and the peer, FastAPI as its documentation teaches it.

Served by `uvicorn benchmarks.edge_peers:hello` and `:plain_fastapi`, on the same server as ours.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, Request
from pydantic import BaseModel, Field

from schemas.topics import FEEDBACK_EVENTS


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """The least that an HTTP answer costs."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hello"})


class Feedback(BaseModel):
    trace_id: str = Field(min_length=1, max_length=512)
    value: int = Field(ge=-10, le=10)
    weight: float = Field(1.0, ge=0, le=1)
    metadata: dict[str, Any] = {}


@asynccontextmanager
async def _producer(app: FastAPI) -> AsyncIterator[None]:
    app.state.producer = AIOKafkaProducer(bootstrap_servers=os.environ["FEEDBACK_KAFKA_BOOTSTRAP"], acks="all")
    await app.state.producer.start()
    yield
    await app.state.producer.stop()


plain_fastapi = FastAPI(lifespan=_producer)


@plain_fastapi.post("/v1/feedback")
async def create(feedback: Feedback, request: Request) -> dict[str, str]:
    event = json.dumps(feedback.model_dump()).encode()
    await request.app.state.producer.send_and_wait(FEEDBACK_EVENTS, event, key=feedback.trace_id.encode())
    return {"status": "success"}
