"""Each example app over the real pipeline: what a user says of an answer is read back, joined with the model's call."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.kafka.broker import free_ports
from tests.pipeline.engines import REPOSITORY, Process, until
from tests.pipeline.running import Pipeline

EXAMPLES = REPOSITORY / "clients" / "python" / "examples"
SERVED_BY = {
    "fastapi_app": ["-m", "uvicorn", "--app-dir", str(EXAMPLES), "fastapi_app:app", "--port"],
    "flask_app": ["-m", "flask", "--app", str(EXAMPLES / "flask_app"), "run", "--port"],
    "django_app": [str(EXAMPLES / "django_app.py"), "runserver", "--noreload"],
}
# uvicorn tells an app that it ends; at a signal, the development servers of Flask and Django do not.
TOLD_OF_ITS_END = ("fastapi_app",)
SAID = {"choices": [{"message": {"role": "assistant", "content": "Like so."}}], "usage": {"total_tokens": 12}}


class Model(BaseHTTPRequestHandler):
    """What stands in for the model's provider."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(SAID).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def model_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_every_example_is_run() -> None:
    assert {each.stem for each in EXAMPLES.glob("*.py")} == SERVED_BY.keys()


@pytest.mark.parametrize("example", SERVED_BY)
def test_feedback_through_an_example_is_read_back_joined_with_the_call_it_is_about(
    pipeline: Pipeline, model_url: str, example: str, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    environment = {"FEEDBACK_URL": pipeline.url, "MODEL_URL": model_url, "MODEL_KEY": "sk-secret"}
    app = Process([sys.executable, *SERVED_BY[example], str(port)], tmp_path / "app.log", environment)

    def listed_at(path: str) -> list[dict[str, Any]]:
        answer = requests.get(f"{pipeline.url}{path}", params={"trace_id": trace_id}, timeout=30)
        return list(answer.json()["data"])

    try:
        until(lambda: requests.get(url, timeout=5).status_code == 404, f"{example} answers")
        asked = requests.post(f"{url}/ask", json={"user": example, "text": "How?"}, timeout=30)
        assert asked.status_code == 200, app.log.read_text()
        trace_id = asked.json()["trace_id"]
        assert asked.headers["x-portkey-trace-id"] == trace_id
        vote = {"trace_id": trace_id, "up": False, "text": "not like so"}
        assert requests.post(f"{url}/thumbs", json=vote, timeout=30).status_code == 200
        if example not in TOLD_OF_ITS_END:
            until(lambda: listed_at("/v1/feedback") and listed_at("/v1/logs"), "what it has queued is stored")
    finally:
        app.stop()

    until(lambda: [each["join_state"] for each in listed_at("/v1/feedback")] == ["joined"], "the feedback is joined")
    (feedback,) = listed_at("/v1/feedback")
    assert (feedback["value"], feedback["models"], feedback["metadata"]) == (-1, ["gpt-4o"], {"comment": "not like so"})
    (log,) = listed_at("/v1/logs")
    assert (log["ai_model"], log["total_units"], log["response_status_code"]) == ("gpt-4o", 12, 200)
    assert "sk-secret" not in str(requests.get(f"{pipeline.url}/v1/logs/{log['id']}", timeout=30).json())
