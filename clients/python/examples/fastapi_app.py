"""A FastAPI app that asks a model and takes feedback on its answers: `uvicorn fastapi_app:app`.

MODEL_URL is where the model is, such as https://api.openai.com/v1; FEEDBACK_URL is where Feedback API is.
"""

import os
from typing import Any

import httpx
from fastapi import FastAPI

import feedback_client
from feedback_client.asgi import TraceMiddleware
from feedback_client.httpx_transport import AsyncLoggingTransport

MODEL_URL = os.environ.get("MODEL_URL", "https://api.openai.com/v1")

app = FastAPI()
app.add_middleware(TraceMiddleware)
model = httpx.AsyncClient(transport=AsyncLoggingTransport(), timeout=60)


@app.post("/ask")
async def ask(question: dict[str, str]) -> dict[str, Any]:
    """Have the model answer; the log of the call is sent in the background."""
    feedback_client.tag(user=question["user"], prompt="ask", environment="production")
    answer = await model.post(
        f"{MODEL_URL}/chat/completions",
        json={"model": "gpt-4o", "messages": [{"role": "user", "content": question["text"]}]},
        headers={"authorization": f"Bearer {os.environ.get('MODEL_KEY', '')}"},
    )
    answer.raise_for_status()
    said = answer.json()["choices"][0]["message"]["content"]
    return {"answer": said, "trace_id": feedback_client.trace_id()}


@app.post("/thumbs")
async def thumbs(vote: dict[str, Any]) -> dict[str, str]:
    """Take a thumb up or down on an answer: its trace id came with it."""
    feedback_client.feedback(1 if vote["up"] else -1, trace_id=vote["trace_id"], text=vote.get("text"))
    return {"status": "thank you"}
