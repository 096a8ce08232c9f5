"""Exactness under every crash: random histories, random batches, workers that die or wake too late.

Whatever happens on the way, what is stored and published at the end equals a plain in-memory model that reads each
log once from start to end. REPLAY_EXAMPLES sets how many histories are tried, REPLAY_SEED where to begin, and
REPLAY_HISTORY names a JSON file with a history of one's own, `{"feedback.events.v1": [event, …], "request.logs.v1":
[event, …]}`, to be tried under as many crash schedules. A failure names its seed.
"""

import json
import os
import random
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import uvloop
from aiokafka.structs import ConsumerRecord
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from runtime.times import rfc3339
from schemas import ids, topics
from schemas.murmur2 import murmur2
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS
from tests.model import SPECIALS, Model, check
from tests.tries import tries
from tests.unit.stream_workers.simulated_world import World, run

KINDS = (
    *("create", "create", "keyed", "update", "delete", "again", "vote", "vote"),
    *("conflict", "unknown", "elsewhere", "forget", "expire"),
)
START_MS = 1_780_000_000_000


def history(
    chance: random.Random, workspace: str = "w", traces: int = 3, events: int = 14
) -> dict[str, list[dict[str, Any]]]:
    """Events of both topics: creates, edits, deletes, votes, duplicates, conflicts, unknown ids, ids of another
    workspace, invalidations, expiries, and requests. At most `events` of them are feedback events."""
    traces_of = [f"t{i}" for i in range(chance.randint(1, traces))]
    made: list[dict[str, Any]] = []
    feedback: list[dict[str, Any]] = []
    expiries: list[dict[str, Any]] = []
    for n in range(chance.randint(1, events)):
        kind = chance.choice(KINDS)
        if kind in ("create", "keyed") or not made:
            event = created(chance, chance.choice(traces_of), n, workspace)
            if kind == "keyed":
                event |= keyed(chance, "k1", "k2")
            elif chance.random() < 0.3:
                event["replaces"] = True
            made.append(event)
            if chance.random() < 0.2:  # a change of what is created only later
                feedback.append(later(chance, event["feedback_id"], n, workspace, delete=chance.random() < 0.5))
        elif kind == "again":
            first = chance.choice(made)
            reordered = dict(reversed(first["metadata"].items()))
            event = {**first, "metadata": reordered, "created_at": rfc3339(START_MS + n)}
        elif kind == "vote":
            first = chance.choice(made)
            later_vote = created(chance, first["trace_id"], n, workspace)
            event = {**later_vote, "feedback_id": first["feedback_id"], "replaces": True}
        elif kind == "conflict":
            event = {**chance.choice(made), "value": chance.randint(-10, 10)}
        elif kind == "expire":
            common = {"event": "expire", "expired_at": rfc3339(START_MS + n)}
            event = common | {"feedback_id": identity(chance, chance.choice(traces_of), workspace)}
            expiries.append(event)
            event["feedback_before"] = chance.choice([0, len(feedback), chance.randint(0, len(feedback))])
        elif kind == "forget":
            common = {"event": "forget", "workspace": workspace, "forgotten_at": rfc3339(START_MS + n)}
            event = common | {"feedback_id": identity(chance, chance.choice(traces_of), workspace)}
        else:
            known = chance.choice(made)["feedback_id"]
            unknown = str(ids.idempotent_id(ids.trace_hash_of(UUID(known)), workspace, "unknown"))
            event = later(chance, unknown if kind == "unknown" else known, n, workspace, delete=kind == "delete")
            if kind == "elsewhere":
                event["workspace"] = f"not-{workspace}"
        feedback.append(event)
    requests = [
        requested(chance, chance.choice(traces_of), n, workspace) for n in range(chance.randint(0, events // 2 + 1))
    ]
    # Both positions of an expiry are of one moment, so of two expiries one has the later position in both topics.
    read = sorted(chance.choice([0, len(requests), chance.randint(0, len(requests))]) for _ in expiries)
    for event, position in zip(sorted(expiries, key=lambda each: int(each["feedback_before"])), read, strict=True):
        event["requests_before"] = position
    if requests and chance.random() < 0.3:
        requests.append({**chance.choice(requests), "model": "another"})
    for event in requests:
        # Other keys than those of feedback: whose a key is depends on which topic is read first.
        if chance.random() < 0.3:
            event |= keyed(chance, "r1", "r2")
    return {FEEDBACK_EVENTS: feedback, REQUEST_LOGS: requests}


def keyed(chance: random.Random, *keys: str) -> dict[str, str]:
    return {"idempotency_key": chance.choice(keys), "idempotency_digest": chance.choice("ab") * 32}


def identity(chance: random.Random, trace_id: str, workspace: str) -> str:
    return str(ids.idempotent_id(murmur2(ids.trace_key(workspace, trace_id)), workspace, str(chance.random())))


def special_fields(chance: random.Random) -> dict[str, str]:
    return {name: chance.choice("ab") for name in SPECIALS if chance.random() < 0.4}


def created(chance: random.Random, trace_id: str, n: int, workspace: str) -> dict[str, Any]:
    specials = special_fields(chance)
    return {
        "event": "create", "workspace": workspace, "feedback_id": identity(chance, trace_id, workspace),
        "trace_id": trace_id, "value": chance.randint(-10, 10), "weight": chance.randint(0, 10) / 10,
        "metadata": specials, "home_environment": specials.get("_environment", ""),
        "created_at": rfc3339(START_MS + n), **specials,
    }  # fmt: skip


def later(chance: random.Random, feedback_id: str, n: int, workspace: str, *, delete: bool) -> dict[str, Any]:
    common = {"workspace": workspace, "feedback_id": feedback_id}
    if delete:
        return {"event": "delete", **common, "deleted_at": rfc3339(START_MS + n)}
    event: dict[str, Any] = {"event": "update", **common, "updated_at": rfc3339(START_MS + n)}
    if chance.random() < 0.7:
        event["value"] = chance.randint(-10, 10)
    if chance.random() < 0.4:
        event["weight"] = chance.randint(0, 10) / 10
    if chance.random() < 0.4:
        specials = special_fields(chance)
        event |= {"metadata": specials, **specials}
    return event


def requested(chance: random.Random, trace_id: str, n: int, workspace: str) -> dict[str, Any]:
    specials = special_fields(chance)
    at = START_MS + chance.randint(-5, 5) * 36_000_000
    return {
        "event": "request", "workspace": workspace, "request_id": identity(chance, trace_id, workspace),
        "trace_id": trace_id, "model": chance.choice(["m1", "m2", None]), "provider": chance.choice(["p1", None]),
        "metadata": specials, "started_at": rfc3339(at), "received_at": rfc3339(START_MS + n), **specials,
    }  # fmt: skip


def records(topic: str, events: list[dict[str, Any]], chance: random.Random) -> list[ConsumerRecord]:
    """The events as a log, with a poison record here and there."""
    values = [json.dumps(event).encode() for event in events]
    for _ in range(chance.choice([0, 0, 1])):
        values.insert(chance.randint(0, len(values)), chance.choice([b"", b"{", b"\xff", b'{"event":"create"}']))
    return [ConsumerRecord(topic, 0, i, START_MS, 0, b"k", v, None, 1, len(v), ()) for i, v in enumerate(values)]


EXAMPLES = tries(250, "REPLAY_EXAMPLES")
SEED = int(os.environ.get("REPLAY_SEED", "0"))
GIVEN = os.environ.get("REPLAY_HISTORY")
# A seed is not made simpler by making it smaller.
TRIED = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate])


@TRIED
@given(st.integers(SEED, SEED + 2**63))
def test_whatever_crashes_the_end_equals_a_plain_model(seed: int) -> None:
    chance = random.Random(seed)
    replay(chance, history(chance))


@settings(TRIED, max_examples=EXAMPLES // 3 + 1)
@given(st.integers(SEED, SEED + 2**63))
def test_a_key_is_one_calls_however_many_workers_meet_it_at_once(seed: int) -> None:
    chance = random.Random(seed)
    histories = [history(chance) for _ in range(2)]
    logs = [{topic: records(topic, events[topic], chance) for topic in topics.INPUTS} for events in histories]
    claims: dict[tuple[str, str], str] = {}
    worlds = [World(chance, each, claims=claims) for each in logs]
    uvloop.run(run(*worlds))
    for world in worlds:
        check(Model(world.logs, claims), world.outcome())


@pytest.mark.skipif(GIVEN is None, reason="REPLAY_HISTORY names no file")
@TRIED
@given(st.integers(SEED, SEED + 2**63))
def test_whatever_crashes_a_given_history_ends_as_the_plain_model_does(seed: int) -> None:
    replay(random.Random(seed), json.loads(Path(GIVEN or "").read_text()))


def replay(chance: random.Random, events: dict[str, list[dict[str, Any]]]) -> None:
    """Run workers over the logs of these events, and compare."""
    logs = {topic: records(topic, events.get(topic, []), chance) for topic in topics.INPUTS}
    world = World(chance, logs)
    uvloop.run(run(world))
    model = Model(logs)
    check(model, world.outcome())
    journal = {(kind, sequence) for _, kind, _, sequence in world.tables["journal"]}
    removed = {each for each in world.gone if each[0] != "row"}
    assert sum(map(len, logs.values())) == len(model.dead) + len(journal | removed), "an event is lost"
