"""The three examples that users of Portkey's Feedback API know, with a new host and sound quoting, nothing else."""

import json
import subprocess
from decimal import Decimal
from typing import Any

import requests

from tests.contract.conftest import RowOf
from tests.pipeline.running import Pipeline


def curl(url: str, body: str) -> dict[str, Any]:
    """POST as the examples do it, following redirects (`--location`); the answer."""
    headers = ["--header", "x-portkey-api-key: any", "--header", "Content-Type: application/json"]
    argv = ["curl", "--silent", "--show-error", "--location", url, *headers, "--data", body]
    run = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


def test_curl_with_all_keys_and_metadata_as_a_json_string(pipeline: Pipeline, stored: RowOf, trace: str) -> None:
    metadata = (
        '{"text" : "title was irrelevant", "_user": "fef653", "_organisation": "o9876",'
        ' "_prompt": "test_prompt", "_environment": "production"}'
    )
    body = f"""{{
        "trace_id": "{trace}",
        "value": -10,
        "weight": 0.5,
        "metadata": {json.dumps(metadata)}
    }}"""
    answer = curl(f"{pipeline.url}/v1/feedback", body)
    assert (answer["status"], answer["message"]) == ("success", "Feedback successfully saved")
    row = stored(answer["feedback_ids"][0])
    assert (row["trace_id"], row["value"], row["weight"]) == (trace, -10, Decimal("0.5"))
    assert (row["_user"], row["_organisation"]) == ("fef653", "o9876")
    assert (row["_prompt"], row["_environment"]) == ("test_prompt", "production")
    assert json.loads(row["metadata"]) == json.loads(metadata)


def test_curl_with_a_thumb_up(pipeline: Pipeline, stored: RowOf, trace: str) -> None:
    answer = curl(f"{pipeline.url}/v1/feedback", f'{{\n    "trace_id": "{trace}",\n    "value": 1\n}}')
    assert answer["status"] == "success"
    row = stored(answer["feedback_ids"][0])
    assert (row["trace_id"], row["value"], row["weight"], row["metadata"]) == (trace, 1, 1, "{}")


def test_requests_with_a_thumb_down_and_a_slash_at_the_end(pipeline: Pipeline, stored: RowOf, trace: str) -> None:
    response = requests.post(
        f"{pipeline.url}/v1/feedback/",
        headers={"x-portkey-api-key": "any", "Content-Type": "application/json"},
        json={"trace_id": trace, "value": 0},
        allow_redirects=False,
        timeout=30,
    )
    assert response.status_code == 200, response.text
    row = stored(response.json()["feedback_ids"][0])
    assert (row["trace_id"], row["value"], row["weight"]) == (trace, 0, 1)
