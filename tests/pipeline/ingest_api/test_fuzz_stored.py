"""What is accepted of the fuzzer's calls is stored as it was sent, in real engines, and nothing of it is dead."""

import json
import os
import random
from typing import Any

import requests

from tests.fuzz.calls import request
from tests.fuzz.oracle import Event, Oracle, Rules
from tests.fuzz.test_fuzz import is_same_json
from tests.pipeline.engines import until
from tests.pipeline.running import Pipeline
from tests.tries import tries

CALLS = tries(200)
SEED = int(os.environ.get("FUZZ_SEED") or random.randrange(2**32))
# Those that the edge of the pipeline runs with.
RULES = Rules(body_bytes=5_000_000, trace_id_chars=512, metadata_bytes=65_536, bulk=1000)

ROWS = {
    "create": "SELECT * FROM feedback.feedback WHERE feedback_id IN {ids:Array(UUID)}",
    "request": "SELECT * FROM feedback.request_logs WHERE request_id IN {ids:Array(UUID)}",
}
JSON = ("request_headers", "response_headers", "request_body", "response_body")
# How a column says that there is nothing.
ABSENT = {"url": "", "provider": "", "span_id": "", "parent_span_id": "", "span_name": ""}


def sent(pipeline: Pipeline) -> dict[str, Event]:
    """Send calls of every kind; of those that were accepted, what each id must be stored with."""
    chance, oracle = random.Random(SEED), Oracle(RULES)
    accepted: dict[str, Event] = {}
    calls = 0
    with requests.Session() as session:
        while calls < CALLS:
            one = request(chance.randbytes(192))
            one.headers.pop("idempotency-key", None)
            one.again.clear()
            if one.method != "POST":
                continue
            calls += 1
            status, events = oracle.judge(one)
            reply = session.post(pipeline.url + one.path, data=one.body, headers=one.headers, timeout=30)
            assert reply.status_code == status, f"SEED={SEED} {one!r}: {reply.text}"
            if status == 200:
                answer = reply.json()
                accepted |= dict(zip(answer.get("feedback_ids") or answer["ids"], events, strict=True))
    return accepted


def as_sent(event: Event, row: dict[str, Any]) -> list[str]:
    """The fields in which a row is not what was sent."""
    wrong = []
    for name, value in event.items():
        if name in ("event", *JSON) or value is ...:
            continue
        found = row[name]
        if name == "metadata":
            found = json.loads(found)
        elif isinstance(value, float):
            found = float(found)
        if not is_same_json(ABSENT.get(name) if value is None else value, found):
            wrong.append(f"{name}: {found!r}, not {value!r}")
    for name in JSON:
        if name in event and not is_same_json(event[name], json.loads(row[name] or "null")):
            wrong.append(f"{name}: {row[name]!r}, not {event[name]!r}")
    return wrong


def test_whatever_is_accepted_is_stored_as_it_was_sent(pipeline: Pipeline) -> None:
    dead = pipeline.count("SELECT count() FROM feedback.dead_letters")
    accepted = sent(pipeline)
    assert len(accepted) > CALLS / 5
    for kind, query in ROWS.items():
        ids = [each for each, event in accepted.items() if event["event"] == kind]
        assert ids
        until(lambda query=query, ids=ids: len(pipeline.sql(query, ids=ids)) == len(ids), f"SEED={SEED}: all is stored")  # type: ignore[misc]
        for row in pipeline.sql(query, ids=ids):
            event = accepted[str(row.get("feedback_id") or row["request_id"])]
            assert as_sent(event, row) == [], f"SEED={SEED}: {event}"
    assert pipeline.count("SELECT count() FROM feedback.dead_letters") == dead, f"SEED={SEED}"
