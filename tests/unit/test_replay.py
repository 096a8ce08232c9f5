"""Exactness under every crash: random histories, random batches, workers that die or wake too late.

Whatever happens on the way, what is stored and published at the end equals a plain in-memory model that sees each
log once from start to end.
"""

import asyncio
import json
import random
from decimal import Decimal
from typing import Any
from uuid import UUID

from aiokafka.structs import ConsumerRecord
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import ids, topics
from schemas.topics import AGGREGATES, ENRICHED, FEEDBACK_EVENTS, REQUEST_LOGS
from stream_workers.messages import rfc3339
from tests.unit.simulated_world import World, run

SPECIALS = ("_user", "_organisation", "_prompt", "_environment")
START_MS = 1_780_000_000_000


def history(chance: random.Random) -> dict[str, list[dict[str, Any]]]:
    """Events of both topics: creates, edits, deletes, duplicates, conflicts, unknown ids, requests."""
    traces = [f"t{i}" for i in range(chance.randint(1, 3))]
    made: list[dict[str, Any]] = []
    feedback: list[dict[str, Any]] = []
    for n in range(chance.randint(1, 14)):
        kind = chance.choice(
            ["create", "create", "keyed", "update", "delete", "again", "conflict", "unknown", "forget"]
        )
        if kind in ("create", "keyed") or not made:
            event = created(chance, chance.choice(traces), n)
            if kind == "keyed":
                event |= {
                    "idempotency_key": chance.choice(["k1", "k2"]),
                    "idempotency_digest": chance.choice("ab") * 32,
                }
            made.append(event)
        elif kind == "again":
            event = {**chance.choice(made), "created_at": rfc3339(START_MS + n)}
        elif kind == "conflict":
            event = {**chance.choice(made), "value": chance.randint(-10, 10)}
        elif kind == "forget":
            notice = {"event": "forget", "workspace": "w", "forgotten_at": rfc3339(START_MS + n)}
            event = notice | {"feedback_id": identity(chance, chance.choice(traces))}
        else:
            known = chance.choice(made)["feedback_id"]
            unknown = str(ids.idempotent_id(ids.trace_hash_of(UUID(known)), "w", "unknown"))
            event = later(chance, unknown if kind == "unknown" else known, n, delete=kind == "delete")
        feedback.append(event)
    requests = [requested(chance, chance.choice(traces), n) for n in range(chance.randint(0, 8))]
    if requests and chance.random() < 0.3:
        requests.append({**chance.choice(requests), "model": "another"})
    return {FEEDBACK_EVENTS: feedback, REQUEST_LOGS: requests}


def identity(chance: random.Random, trace_id: str) -> str:
    return str(ids.idempotent_id(ids.murmur2(ids.trace_key("w", trace_id)), "w", str(chance.random())))


def special_fields(chance: random.Random) -> dict[str, str]:
    return {name: chance.choice("ab") for name in SPECIALS if chance.random() < 0.4}


def created(chance: random.Random, trace_id: str, n: int) -> dict[str, Any]:
    specials = special_fields(chance)
    return {
        "event": "create", "workspace": "w", "feedback_id": identity(chance, trace_id),
        "trace_id": trace_id, "value": chance.randint(-10, 10), "weight": chance.randint(0, 10) / 10,
        "metadata": specials, "home_environment": specials.get("_environment", ""),
        "created_at": rfc3339(START_MS + n), **specials,
    }  # fmt: skip


def later(chance: random.Random, feedback_id: str, n: int, *, delete: bool) -> dict[str, Any]:
    common = {"workspace": "w", "feedback_id": feedback_id}
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


def requested(chance: random.Random, trace_id: str, n: int) -> dict[str, Any]:
    specials = special_fields(chance)
    at = START_MS + chance.randint(-5, 5) * 3_600_000
    return {
        "event": "request", "workspace": "w", "request_id": identity(chance, trace_id),
        "trace_id": trace_id, "model": chance.choice(["m1", "m2", None]), "provider": chance.choice(["p1", None]),
        "metadata": specials, "started_at": rfc3339(at), "received_at": rfc3339(START_MS + n), **specials,
    }  # fmt: skip


def records(topic: str, events: list[dict[str, Any]], chance: random.Random) -> list[ConsumerRecord]:
    """The events as a log, with a poison record here and there."""
    values = [json.dumps(event).encode() for event in events]
    for _ in range(chance.choice([0, 0, 1])):
        values.insert(chance.randint(0, len(values)), chance.choice([b"", b"{", b"\xff", b'{"event":"create"}']))
    return [ConsumerRecord(topic, 0, i, START_MS, 0, b"k", v, None, 1, len(v), ()) for i, v in enumerate(values)]


class Model:
    """What must be there in the end, computed the plain way: each log once, first to last."""

    def __init__(self, logs: dict[str, list[ConsumerRecord]]) -> None:
        self.feedback: dict[str, dict[str, Any]] = {}
        self.deleted: dict[str, dict[str, Any]] = {}
        self.requests: dict[str, dict[str, Any]] = {}
        self.dead: set[tuple[str, int]] = set()
        self.journal: set[tuple[str, int]] = set()
        originals: dict[str, dict[str, Any]] = {}
        claims: dict[str, str] = {}
        for record in logs[FEEDBACK_EVENTS]:
            event = parsed(record.value)
            identity = event.get("feedback_id", "")
            held = self.feedback.get(identity)
            key, digest = event.get("idempotency_key"), event.get("idempotency_digest")
            if key and claims.setdefault(key, digest) != digest:
                self.dead.add((FEEDBACK_EVENTS, record.offset))
                continue
            if event.get("event") == "create" and identity and identity not in originals:
                originals[identity] = event
                self.feedback[identity] = {**event, "offset": record.offset}
            elif event.get("event") == "create" and identity and same(originals[identity], event):
                (held or self.deleted[identity])["offset"] = record.offset
            elif event.get("event") == "update" and held:
                held |= {name: event[name] for name in ("value", "weight", "metadata") if name in event}
                if "metadata" in event:
                    held |= {name: event.get(name) for name in SPECIALS}
                held["offset"] = record.offset
            elif event.get("event") == "forget":
                self.journal.add(("feedback", record.offset))
                continue
            elif event.get("event") == "delete" and identity in originals:
                if held:
                    self.deleted[identity] = self.feedback.pop(identity)
                self.deleted[identity]["offset"] = record.offset
            else:
                self.dead.add((FEEDBACK_EVENTS, record.offset))
                continue
            self.journal.add(("feedback", record.offset))
        for record in logs[REQUEST_LOGS]:
            event = parsed(record.value)
            if event.get("event") == "request":
                self.requests.setdefault(event["request_id"], event)
                self.journal.add(("request", record.offset))
            else:
                self.dead.add((REQUEST_LOGS, record.offset))

    def current(self, identity: str) -> dict[str, Any]:
        """A standing feedback with what its trace's requests add."""
        event = self.feedback[identity]
        of_trace = [r for r in self.requests.values() if r["trace_id"] == event["trace_id"]]
        of_trace.sort(key=lambda r: (r["started_at"], r["request_id"]))
        found = {
            name: event.get(name) or next((r[name] for r in of_trace if r.get(name)), None) for name in SPECIALS
        }  # fmt: skip
        return {
            "trace_id": event["trace_id"], "value": event["value"], "weight": event["weight"],
            "join_state": "joined" if of_trace else "pending", "metadata": event["metadata"], **found,
            "models": sorted({r["model"] for r in of_trace if r["model"]}),
            "providers": sorted({r["provider"] for r in of_trace if r["provider"]}),
        }  # fmt: skip

    def aggregates(self) -> dict[str, dict[str, Any]]:
        traces = {f["trace_id"] for f in (*self.feedback.values(), *self.deleted.values())}
        return {trace_id: self._aggregate(trace_id) for trace_id in traces}

    def _aggregate(self, trace_id: str) -> dict[str, Any]:
        standing = [f for f in self.feedback.values() if f["trace_id"] == trace_id]
        pairs = [(f["value"], Decimal(str(f["weight"]))) for f in standing]
        return {
            "feedback_count": len(pairs),
            "weight_sum": sum((w for _, w in pairs), Decimal(0)),
            "value_weight_sum": sum((v * w for v, w in pairs), Decimal(0)),
            "weight_value_squared_sum": sum((w * v * v for v, w in pairs), Decimal(0)),
            "value_min": min((v for v, _ in pairs), default=None),
            "value_max": max((v for v, _ in pairs), default=None),
            "value_last": max(standing, key=lambda f: f["offset"])["value"] if standing else None,
            "requests": sum(r["trace_id"] == trace_id for r in self.requests.values()),
        }


def parsed(value: bytes) -> dict[str, Any]:
    try:
        event: dict[str, Any] = json.loads(value)
    except ValueError:
        return {}
    return event if "workspace" in event else {}


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    compared = ("trace_id", "value", "weight", "metadata", *SPECIALS)
    return all(first.get(name) == second.get(name) for name in compared)


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**63))
def test_whatever_crashes_the_end_equals_a_plain_model(seed: int) -> None:
    chance = random.Random(seed)
    logs = {topic: records(topic, events, chance) for topic, events in history(chance).items()}
    world = World(chance, logs)
    asyncio.run(run(world))
    model = Model(logs)

    rows = world.tables["feedback_rows"].values()
    standing = {row["feedback_id"]: row for row in rows if not row["is_deleted"]}
    assert len(rows) == len(model.feedback) + len(model.deleted), "a feedback stands in two places"
    assert standing.keys() == model.feedback.keys()
    for each, row in standing.items():
        expected = model.current(each)
        shown = {name: row[name] for name in expected} | {
            "weight": float(row["weight"]), "metadata": json.loads(row["metadata"]),
        } | {name: row[name] or None for name in SPECIALS}  # fmt: skip
        assert shown == expected
        version, value = world.published[ENRICHED, each.encode()]
        message = json.loads(value or b"null")
        assert {name: message[name] for name in expected} == expected
        assert message["version"] == version
        assert version >> 16 == row["version"] >> 16, "the row and the message are of different events"
    for each in model.deleted:
        assert world.published[ENRICHED, each.encode()][1] is None

    aggregates = {row["trace_id"]: row for row in world.tables["trace_aggregate_rows"].values()}
    assert aggregates.keys() == model.aggregates().keys()
    for trace_id, expected in model.aggregates().items():
        assert {name: aggregates[trace_id][name] for name in expected} == expected
        message = json.loads(world.published[AGGREGATES, f"w/{trace_id}".encode()][1] or b"")
        assert {name: message[name] for name in expected} == {
            name: float(n) if isinstance(n, Decimal) else n for name, n in expected.items()
        }  # fmt: skip

    assert {row["request_id"] for row in world.tables["request_log_rows"].values()} == model.requests.keys()
    assert {(row["topic"], row["sequence"]) for row in world.tables["dead_letters"].values()} == model.dead
    assert {(row["kind"], row["sequence"]) for row in world.tables["trace_journal"].values()} == model.journal
    assert sum(map(len, logs.values())) == len(model.dead) + len(world.tables["trace_journal"]), "an event is lost"
    assert tuple(logs) == topics.INPUTS
