"""A Flask app that asks a model and takes feedback on its answers: `flask --app flask_app run`.

MODEL_URL is where the model is, such as https://api.openai.com/v1; FEEDBACK_URL is where Feedback API is.
"""

import os
from typing import Any

import requests
from flask import Flask, request

import feedback_client
from feedback_client.requests_adapter import LoggingAdapter
from feedback_client.wsgi import TraceMiddleware

MODEL_URL = os.environ.get("MODEL_URL", "https://api.openai.com/v1")

app = Flask(__name__)
app.wsgi_app = TraceMiddleware(app.wsgi_app)
model = requests.Session()
model.mount("http://", LoggingAdapter())
model.mount("https://", LoggingAdapter())


@app.post("/ask")
def ask() -> dict[str, Any]:
    """Have the model answer; the log of the call is sent in the background."""
    question = request.get_json()
    feedback_client.tag(user=question["user"], prompt="ask", environment="production")
    answer = model.post(
        f"{MODEL_URL}/chat/completions",
        json={"model": "gpt-4o", "messages": [{"role": "user", "content": question["text"]}]},
        headers={"authorization": f"Bearer {os.environ.get('MODEL_KEY', '')}"},
        timeout=60,
    )
    answer.raise_for_status()
    said = answer.json()["choices"][0]["message"]["content"]
    return {"answer": said, "trace_id": feedback_client.trace_id()}


@app.post("/thumbs")
def thumbs() -> dict[str, str]:
    """Take a thumb up or down on an answer: its trace id came with it."""
    vote = request.get_json()
    feedback_client.feedback(1 if vote["up"] else -1, trace_id=vote["trace_id"], text=vote.get("text"))
    return {"status": "thank you"}
