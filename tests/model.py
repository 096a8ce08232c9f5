"""What must be there in the end, computed the plain way: each log once, first to last, and no engine.

`Model` reads the logs of one partition. `check` holds what is stored and published against it and names the first thing
that differs.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

from aiokafka.structs import ConsumerRecord

from schemas.ids import trace_hash_of, trace_key
from schemas.murmur2 import murmur2
from schemas.topics import AGGREGATES, DEAD, ENRICHED, FEEDBACK_EVENTS, REQUEST_LOGS

SPECIALS = ("_user", "_organisation", "_prompt", "_environment")
Row = dict[str, Any]
_NO_DAY = date(1970, 1, 1)


class Model:
    """The state that the logs of one partition amount to.

    `claims` has the digest to which each idempotency key belongs; that of others is the first one's in the log.
    """

    def __init__(
        self, logs: Mapping[str, Iterable[ConsumerRecord]], claims: Mapping[tuple[str, str], str] = MappingProxyType({})
    ) -> None:
        self.feedback: dict[str, Row] = {}
        self.deleted: dict[str, Row] = {}
        self.requests: dict[str, Row] = {}
        self.kept_requests: set[str] = set()
        """Those that did not go with their traces."""
        self.dead: set[tuple[str, int]] = set()
        self.journal: set[tuple[str, int]] = set()
        self._originals: dict[str, Row] = {}
        self._claims = dict(claims)
        self._of_trace: dict[tuple[str, str], list[Row]] = defaultdict(list)
        self.expired: dict[str, Row] = {}
        self._changes: dict[int, list[int]] = defaultdict(list)
        self.covered: set[tuple[str, int]] = set()
        """Entries of the journal that went with their traces."""
        self._accepted: dict[int, list[int]] = defaultdict(list)
        self._old: dict[int, int] = defaultdict(int)
        self._requests_before: dict[int, int] = defaultdict(int)
        for record in logs[FEEDBACK_EVENTS]:
            event = parsed(record.value)
            if event.get("event") == "expire":
                self._expire(event, record.offset)
                self.journal.add(("expiry", record.offset))
                continue
            kept = self._takes(event, record.offset)
            (self.journal if kept else self.dead).add(("feedback" if kept else FEEDBACK_EVENTS, record.offset))
            if kept:
                self._accepted[hash_of(event)].append(record.offset)
                if event["event"] != "forget":
                    self._changes[hash_of(event)].append(record.offset)
        known = self.kept_requests
        for record in logs[REQUEST_LOGS]:
            event = parsed(record.value)
            if event.get("event") == "request" and self._owns(event) and of_its_trace(event, event["request_id"]):
                identity = event["request_id"]
                if record.offset < self._requests_before[trace_hash_of(UUID(identity))]:
                    self.covered.add(("request", record.offset))
                elif identity not in known:
                    known.add(identity)
                    self._of_trace[event["workspace"], event["trace_id"]].append(event)
                self.requests.setdefault(identity, event)
                self.journal.add(("request", record.offset))
            else:
                self.dead.add((REQUEST_LOGS, record.offset))
        for requests in self._of_trace.values():
            requests.sort(key=lambda r: (r["started_at"], r["request_id"]))

    def _takes(self, event: Row, offset: int) -> bool:
        """Carry out one feedback event; False where it belongs to the dead letters."""
        identity, kind = event.get("feedback_id", ""), event.get("event")
        held = self.feedback.get(identity)
        original = self._originals.get(identity, event)
        if not identity or (kind != "create" and original["workspace"] != event["workspace"]):
            return False
        if kind == "create":
            if not self._owns(event) or not of_its_trace(event, identity):
                return False
            if bool(event.get("replaces")) != bool(original.get("replaces")):
                return False
            if identity not in self._originals or event.get("replaces"):
                self._originals.setdefault(identity, event)
                self.deleted.pop(identity, None)
                self.feedback[identity] = {**event, "offset": offset}
            elif not is_same_create(self._originals[identity], event):
                return False
        elif kind == "update":
            if not held:
                return bool(original.get("replaces")) and identity in self._originals
            held |= {name: event[name] for name in ("value", "weight", "metadata") if event.get(name) is not None}
            if event.get("metadata") is not None:
                held |= {name: event.get(name) for name in SPECIALS}
            held["offset"] = offset
        elif kind == "delete":
            if identity not in self._originals:
                return False
            if held:
                self.deleted[identity] = self.feedback.pop(identity)
            self.deleted[identity]["offset"] = offset
        return kind in ("create", "update", "delete", "forget")

    def _expire(self, event: Row, offset: int) -> None:
        """Remove everything of a trace hash, unless its feedback has changed since what the event names."""
        expired_hash = hash_of(event)
        old = self._old[expired_hash] = max(self._old[expired_hash], event["requests_before"])
        if any(event["feedback_before"] <= each < offset for each in self._changes[expired_hash]):
            return
        of_hash = [each for each in self._originals if trace_hash_of(UUID(each)) == expired_hash]
        for each in of_hash:
            del self._originals[each]
            self.expired[each] = self.feedback.pop(each, None) or self.deleted.pop(each)
        self._requests_before[expired_hash] = old
        self.covered |= {("feedback", each) for each in self._accepted[expired_hash] if each < offset}

    def _owns(self, event: Row) -> bool:
        """Whether the idempotency key of the event's call, if it has one, is that call's."""
        key, digest = event.get("idempotency_key"), event.get("idempotency_digest")
        return not key or self._claims.setdefault((event["workspace"], key), digest) == digest

    def current(self, identity: str) -> Row:
        """A standing feedback with what its trace's requests add."""
        event = self.feedback[identity]
        of_trace = self._of_trace.get((event["workspace"], event["trace_id"]), [])
        found = {
            name: event.get(name) or next((r[name] for r in of_trace if r.get(name)), None) for name in SPECIALS
        }  # fmt: skip
        return {
            "trace_id": event["trace_id"], "value": event["value"], "weight": event["weight"],
            "join_state": "joined" if of_trace else "pending", "metadata": event["metadata"], **found,
            "models": sorted({r["model"] for r in of_trace if r.get("model")}),
            "providers": sorted({r["provider"] for r in of_trace if r.get("provider")}),
        }  # fmt: skip

    def aggregates(self) -> dict[tuple[str, str], Row]:
        """By workspace and trace id, of every trace that has or had feedback."""
        standing: dict[tuple[str, str], list[Row]] = {
            (f["workspace"], f["trace_id"]): [] for f in (*self.feedback.values(), *self.deleted.values())
        }
        for feedback in self.feedback.values():
            standing[feedback["workspace"], feedback["trace_id"]].append(feedback)
        return {trace: self._aggregate(trace, feedback) for trace, feedback in standing.items()}

    def request_days(self, trace: tuple[str, str]) -> list[date]:
        """The days on which the first and the last request of a trace began; in 1970 without requests."""
        began = [datetime.fromisoformat(request["started_at"]) for request in self._of_trace.get(trace, [])]
        days = [at.astimezone(UTC).date() for at in began] or [_NO_DAY]
        return [min(days), max(days)]

    def _aggregate(self, trace: tuple[str, str], standing: list[Row]) -> Row:
        pairs = [(f["value"], Decimal(str(f["weight"]))) for f in standing]
        return {
            "feedback_count": len(pairs),
            "weight_sum": sum((w for _, w in pairs), Decimal(0)),
            "value_weight_sum": sum((v * w for v, w in pairs), Decimal(0)),
            "weight_value_squared_sum": sum((w * v * v for v, w in pairs), Decimal(0)),
            "value_min": min((v for v, _ in pairs), default=None),
            "value_max": max((v for v, _ in pairs), default=None),
            "value_last": max(standing, key=lambda f: f["offset"])["value"] if standing else None,
            "requests": len(self._of_trace.get(trace, [])),
        }


@dataclass
class Outcome:
    """What a run has left behind of one partition.

    Rows are the newest of each place, deleted feedback with them. `dead` and `journal` are (topic or kind, sequence).
    `published` has, per topic and key, the message of the highest version; None for a tombstone.
    """

    feedback: list[Row]
    aggregates: list[Row]
    requests: set[str]
    dead: set[tuple[str, int]]
    journal: set[tuple[str, int]]
    published: dict[tuple[str, bytes], tuple[int, bytes | None]]
    gone: set[tuple[str, Any]] = field(default_factory=set)
    """What was physically removed with its trace: (kind, sequence) of the journal, ("row", id) of requests."""


def check(model: Model, outcome: Outcome) -> None:
    """AssertionError at the first thing that is not as the model says."""
    rows = [row for row in outcome.feedback if row["join_state"] != "expired"]
    standing = {row["feedback_id"]: row for row in rows if not row["is_deleted"]}
    places = len(rows)
    assert places == len({row["feedback_id"] for row in rows}), "a feedback stands in two places"
    removed = {row["feedback_id"] for row in outcome.feedback} - {row["feedback_id"] for row in rows}
    anew = model.feedback.keys() | model.deleted.keys()
    assert removed == model.expired.keys() - anew, _sets("removed feedback", removed, model.expired.keys() - anew)
    for each in removed:
        assert outcome.published[ENRICHED, each.encode()][1] is None, f"no tombstone for {each}, which was removed"
    assert standing.keys() == model.feedback.keys(), _sets("feedback", standing.keys(), model.feedback.keys())
    assert places == len(model.feedback) + len(model.deleted), "a deleted feedback has left no row"
    for each, row in standing.items():
        expected = model.current(each)
        shown = {name: row[name] for name in expected} | {
            "weight": float(row["weight"]), "metadata": json.loads(row["metadata"]),
        } | {name: row[name] or None for name in SPECIALS}  # fmt: skip
        assert shown == expected, f"feedback {each}"
        version, value = outcome.published[ENRICHED, each.encode()]
        message = json.loads(value or b"null")
        assert {name: message[name] for name in expected} == expected, f"message of feedback {each}"
        assert message["version"] == version
        assert version >> 16 == row["version"] >> 16, "the row and the message are of different events"
    for each in model.deleted:
        assert outcome.published[ENRICHED, each.encode()][1] is None, f"no tombstone for {each}"

    aggregates = {(row["workspace"], row["trace_id"]): row for row in outcome.aggregates if not row["is_expired"]}
    expected_aggregates = model.aggregates()
    assert aggregates.keys() == expected_aggregates.keys()
    for (workspace, trace_id), expected in expected_aggregates.items():
        row = aggregates[workspace, trace_id]
        assert {name: row[name] for name in expected} == expected, f"aggregate of {trace_id}"
        days = [_date_of(row[name]) for name in ("first_request_day", "last_request_day")]
        assert days == model.request_days((workspace, trace_id)), f"days of the requests of {trace_id}: {days}"
        message = json.loads(outcome.published[AGGREGATES, f"{workspace}/{trace_id}".encode()][1] or b"")
        assert {name: message[name] for name in expected} == {
            name: float(n) if isinstance(n, Decimal) else n for name, n in expected.items()
        }, f"message of the aggregate of {trace_id}"  # fmt: skip

    by_topic: dict[str, set[str]] = defaultdict(set)
    for topic, key in outcome.published:
        by_topic[topic].add(key.decode())
    assert by_topic[ENRICHED] == anew | model.expired.keys(), "messages of what was never created"
    expired_traces = {(f["workspace"], f["trace_id"]) for f in model.expired.values()} - expected_aggregates.keys()
    assert by_topic[AGGREGATES] == {"/".join(trace) for trace in (*expected_aggregates, *expired_traces)}
    for trace in expired_traces:
        assert outcome.published[AGGREGATES, "/".join(trace).encode()][1] is None, f"no tombstone for {trace}"
    letters = {(topic, int(offset)) for topic, _, offset in (key.split("/") for key in by_topic[DEAD])}
    assert letters == model.dead, _sets("dead letters on the topic", letters, model.dead)

    gone = {each for kind, each in outcome.gone if kind == "row"}
    requests, expected_requests = outcome.requests - gone, model.requests.keys() - gone
    assert requests == expected_requests, _sets("requests", requests, expected_requests)
    assert outcome.dead == model.dead, _sets("dead letters", outcome.dead, model.dead)
    journal, expected_journal = outcome.journal - outcome.gone, model.journal - outcome.gone
    assert journal == expected_journal, _sets("journal", journal, expected_journal)


def _date_of(day: date | int) -> date:
    """ClickHouse answers a date, and a worker stores its number."""
    return day if isinstance(day, date) else _NO_DAY + timedelta(days=day)


def parsed(value: bytes | None) -> Row:
    """A record's event; empty where it is none."""
    try:
        event: Row = json.loads(value or b"")
    except ValueError:
        return {}
    return event if isinstance(event, dict) and ("workspace" in event or event.get("event") == "expire") else {}


def hash_of(event: Row) -> int:
    """The trace hash that a feedback event's id carries."""
    return trace_hash_of(UUID(event["feedback_id"]))


def of_its_trace(event: Row, identity: str) -> bool:
    """Whether the id carries the hash of the event's own trace."""
    return trace_hash_of(UUID(identity)) == murmur2(trace_key(event["workspace"], event["trace_id"]))


def is_same_create(first: Row, second: Row) -> bool:
    """Whether two creates of one id say the same."""
    compared = ("trace_id", "value", "weight", "metadata", *SPECIALS)
    return all(first.get(name) == second.get(name) for name in compared)


def _sets(what: str, found: Iterable[Any], expected: Iterable[Any]) -> str:
    found, expected = set(found), set(expected)
    return f"{what}: {len(found - expected)} too many {sorted(found - expected)[:3]}, " + (
        f"{len(expected - found)} missing {sorted(expected - found)[:3]}"
    )
