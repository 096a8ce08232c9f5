"""The web component as it is served and as it stands to be copied: one file, small, without inline style or script."""

import asyncio
import gzip
import re
from pathlib import Path

from fastapi import FastAPI

from ingest_api.http.feedback_buttons import PATH, add_feedback_buttons
from ingest_api.http.publish_endpoint import Message
from runtime.request_origin import origins_in

CLIENT = Path(__file__).parents[3] / "clients/browser"
SCRIPT = (CLIENT / "feedback-buttons.js").read_bytes()
EXAMPLE = (CLIENT / "example.html").read_text()
NAMED = "https://app.example.com"
MOST_BYTES = 4096


def served(**headers: str) -> tuple[int, dict[str, str], bytes]:
    app = FastAPI()
    add_feedback_buttons(app, origins_in(NAMED))
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": PATH, "query_string": b"", "headers": raw}
    asyncio.run(app(scope, receive, send))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, b"".join(each.get("body", b"") for each in sent[1:])


def test_the_script_is_small() -> None:
    assert len(gzip.compress(SCRIPT)) <= MOST_BYTES


def test_what_is_served_is_what_stands_to_be_copied() -> None:
    status, headers, body = served()
    assert (status, body) == (200, SCRIPT)
    assert headers["content-type"].startswith("text/javascript")
    assert headers["cross-origin-resource-policy"] == "cross-origin"
    status, _, body = served(if_none_match=headers["etag"])
    assert (status, body) == (304, b"")


def test_only_pages_of_named_origins_may_read_it() -> None:
    assert served(origin=NAMED)[1]["access-control-allow-origin"] == NAMED
    for other in ("https://evil.example", "null"):
        assert "access-control-allow-origin" not in served(origin=other)[1]


def test_nothing_in_it_needs_a_policy_to_be_loosened() -> None:
    assert not re.search(rb"innerHTML|insertAdjacentHTML|\.style\b|eval\(|new Function|<style|document\.write", SCRIPT)


def test_a_page_that_shows_it_has_twenty_lines_and_no_script_or_style_of_its_own() -> None:
    assert len(EXAMPLE.splitlines()) <= 20
    assert not re.search(r"<script>|<style|style=|\son\w+=", EXAMPLE)
