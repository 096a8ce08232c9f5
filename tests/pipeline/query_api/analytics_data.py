"""Random requests and feedback, stored as the workers store them, and what plain Python finds in them."""

import json
import random
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from clickhouse_connect.driver.client import Client

from query_api.analytics.sums import VALUES, Sums
from query_api.filters.conditions import milliseconds
from query_api.filters.feedback_parameters import FeedbackFilters
from query_api.filters.parameters import LogFilters
from schemas.ids import trace_key
from schemas.murmur2 import murmur2

START = datetime(2025, 10, 24, 10, 7, 1, tzinfo=UTC)
"""Clocks go back in Europe two days later."""
SPECIALS = ("_user", "_organisation", "_prompt", "_environment")
COLUMN_OF = {"prompt_slug": "_prompt", "user": "_user", "organisation": "_organisation", "environment": "_environment"}
REQUEST_COLUMNS = {"ai_model": "model", "ai_org": "provider", "span_id": "span_id"}
NUMBER_COLUMNS = {
    "total_units": "total_tokens", "prompt_token": "prompt_tokens", "completion_token": "completion_tokens",
    "cost": "cost", "response_time": "response_time_ms",
}  # fmt: skip
COMMENTS = (
    "Zu LANGSAM, \u00dcber alles",
    'too slow: "no\\way"',
    "Too too fast",
    "Gro\u00dfartig, aber muss nach STRASSE und Fu\u00df geordnet sein",
    "\u041c\u0435\u0434\u043b\u0435\u043d\u043d\u043e!",
    5,
)
Row = dict[str, Any]


@dataclass
class Stored:
    """Current rows of one workspace, metadata as objects."""

    workspace: str
    requests: list[Row] = field(default_factory=list)
    feedback: list[Row] = field(default_factory=list)

    def requests_of(self, trace_id: str) -> list[Row]:
        return [row for row in self.requests if row["trace_id"] == trace_id]

    def feedback_of(self, trace_id: str) -> list[Row]:
        return [row for row in self.feedback if row["trace_id"] == trace_id]


def invented(workspace: str, seed: int, traces: int = 80) -> Stored:
    chance = random.Random(seed)
    stored = Stored(workspace)
    for number in range(traces):
        trace_id = f"t{number}" if number % 9 else f"t{number},'x"
        for _ in range(chance.choice([0, 1, 1, 2, 3])):
            stored.requests.append(_request(chance, stored, trace_id))
        for _ in range(chance.choice([0, 1, 2, 3, 6])):
            stored.feedback.append(_feedback(chance, stored, trace_id))
    return stored


def _request(chance: random.Random, stored: Stored, trace_id: str) -> Row:
    # The largest are of a time before the edge refused them: two of them are more than 64 bits hold.
    tokens = chance.choice([None, chance.randint(0, 20), 2**61])
    metadata = _metadata(chance)
    row: dict[str, Any] = {
        "workspace": stored.workspace, "request_id": _id(chance, stored.workspace, trace_id), "trace_id": trace_id,
        "span_id": chance.choice(["", "s1"]), "started_at": _time(chance),
        "provider": chance.choice(["openai", "google"]), "model": chance.choice(["m1", "m2", "m__3"]),
        "status": chance.choice([200, 200, 429, 500]), "cost": chance.choice([None, chance.randint(0, 8) / 8]),
        "prompt_tokens": tokens, "completion_tokens": tokens and 2 * tokens, "total_tokens": tokens and 3 * tokens,
        "response_time_ms": chance.choice([None, chance.randint(0, 4000) / 4]),
        **{name: str(metadata.get(name, "")) for name in SPECIALS}, "metadata": metadata,
    }  # fmt: skip
    # Without another draw, so that all else stays as it is.
    number = row["request_id"].int
    if row["_user"] and number % 3 == 0:
        row["_user"] = metadata["_user"] = "u2"
    row["status"] = {(200, 0): 302, (500, 0): 0}.get((row["status"], number % 4), row["status"])
    return row


def _feedback(chance: random.Random, stored: Stored, trace_id: str) -> Row:
    requests, metadata = stored.requests_of(trace_id), _metadata(chance)
    return {
        "workspace": stored.workspace, "feedback_id": _id(chance, stored.workspace, trace_id), "trace_id": trace_id,
        "value": chance.randint(-10, 10), "weight": Decimal(chance.choice([0, 1, 1, 5, 9])) / chance.choice([9, 10]),
        "created_at": _time(chance), "join_state": "joined" if requests else "pending",
        "models": sorted({row["model"] for row in requests}),
        "providers": sorted({row["provider"] for row in requests}),
        **{name: str(metadata.get(name) or next((row[name] for row in requests), "")) for name in SPECIALS},
        "metadata": metadata,
    }  # fmt: skip


def _metadata(chance: random.Random) -> Row:
    offered = {
        "_user": "u1", "_organisation": chance.choice(["o1", "o2"]), "_prompt": chance.choice(["p1", "p2"]),
        "_environment": chance.choice(["production", "staging"]), "tier": chance.choice([3, "3", 4, "gold", True, 1.5]),
        "comment": chance.choice(COMMENTS),
    }  # fmt: skip
    return {name: value for name, value in offered.items() if chance.random() < 0.6}


def _time(chance: random.Random) -> datetime:
    """Within three and a half days, often on the hour or the day."""
    at = START + timedelta(seconds=chance.randrange(84 * 3600), milliseconds=chance.randrange(1000))
    whole = chance.choice([None, None, {"minute": 0}, {"minute": 30}, {"hour": 0, "minute": 0}])
    return at.replace(**whole, second=0, microsecond=0) if whole else at


def _id(chance: random.Random, workspace: str, trace_id: str) -> uuid.UUID:
    """By chance, but for the hash of its trace."""
    others = chance.getrandbits(128) & ~(0xFFFFFFFF << 16)
    return uuid.UUID(int=others | murmur2(trace_key(workspace, trace_id)) << 16)


def insert(client: Client, stored: Stored) -> None:
    """Write all of it, with some former versions and some feedback that has been deleted."""
    for row in stored.feedback:
        row["weight"] = row["weight"].quantize(Decimal("1e-9"))
    feedback = [row | {"version": 2, "is_deleted": 0} for row in stored.feedback]
    former = [row | {"version": 1, "value": 10, "models": ["gone"], "_user": "gone"} for row in feedback[::3]]
    doomed = [row | {"feedback_id": uuid.uuid4(), "version": 1} for row in feedback[::5]]
    deleted = [*doomed, *(row | {"version": 2, "is_deleted": 1} for row in doomed)]
    insert_feedback(client, [*former, *deleted, *feedback])
    insert_requests(client, stored.requests)
    aggregates = [
        _days_of_requests(stored, trace_id) | {
            "workspace": stored.workspace, "trace_id": trace_id, "feedback_count": len(group), "version": 1,
            "weight_sum": sum((row["weight"] for row in group), Decimal(0)),
            "value_weight_sum": total(group), "requests": len(stored.requests_of(trace_id)),
        }
        for trace_id in sorted({row["trace_id"] for row in [*stored.feedback, *stored.requests[::2]]})
        if (group := stored.feedback_of(trace_id)) is not None
    ]  # fmt: skip
    replaced = [row | {"version": 0, "feedback_count": 1, "value_weight_sum": Decimal(10)} for row in aggregates]
    for rows in (aggregates, replaced):
        _write(client, "trace_aggregate_rows", rows)


def _days_of_requests(stored: Stored, trace_id: str) -> Row:
    """As a worker stores them, or as one that did not know them."""
    days = sorted(row["started_at"].date() for row in stored.requests_of(trace_id))
    if not days or murmur2(trace_id.encode()) % 4 == 0:
        days = [date(1970, 1, 1)]
    return {"first_request_day": days[0], "last_request_day": days[-1]}


def insert_feedback(client: Client, rows: list[Row]) -> None:
    """Write these versions of feedback, and what the journal tells of their creation."""
    _write(
        client,
        "journal",
        [
            _entry(row, "feedback", row["created_at"], {
                "event": "create", "created_at": row["created_at"].isoformat(), "home_environment": "",
            })
            for row in rows
        ],
    )  # fmt: skip
    _write(client, "feedback_rows", [row | {"updated_at": row["created_at"]} for row in rows])


def insert_requests(client: Client, requests: list[Row], sequence: int = 1) -> None:
    """Write these requests, once more if they are there, and what the journal tells of them."""
    _write(
        client,
        "journal",
        [
            _entry(row, "request", row["started_at"], {
                "event": "fact", "started_at": milliseconds(row["started_at"])
            })
            for row in requests
        ],
    )  # fmt: skip
    rows = [row | {"received_at": row["started_at"], "sequence": sequence} for row in requests]
    _write(client, "request_log_rows", rows)


def _entry(row: Row, kind: str, at: datetime, entry: Row) -> Row:
    return {
        "trace_hash": murmur2(trace_key(row["workspace"], row["trace_id"])), "kind": kind, "id": row[f"{kind}_id"],
        "sequence": 1, "kafka_partition": 0, "recorded_at": at, "line": f"[0,0,1,{json.dumps(entry)}]",
    }  # fmt: skip


def _write(client: Client, table: str, rows: list[Row]) -> None:
    for row in rows:
        row |= {"metadata": json.dumps(row["metadata"])} if "metadata" in row else {}
    client.insert(f"feedback.{table}", [list(row.values()) for row in rows], column_names=list(rows[0]))


def total(rows: Iterable[Row]) -> Decimal:
    return sum((row["value"] * row["weight"] for row in rows), Decimal(0))


def requests_asked(stored: Stored, filters: LogFilters) -> list[Row]:
    """The long way of conditions_on_requests."""
    return [
        row
        for row in stored.requests
        if _in_time(filters, row["started_at"])
        and _is(row, filters, {**REQUEST_COLUMNS, **COLUMN_OF, "trace_id": "trace_id"})
        and all(text_of(row, key) == text for key, text in filters.metadata.items())
        and _feedback_of_trace(stored, filters, row["trace_id"])
    ]


def feedback_asked(stored: Stored, filters: LogFilters) -> list[Row]:
    """The long way of conditions_on_feedback."""

    def has(row: Row, key: str, text: str) -> bool:
        if key in SPECIALS or key in row["metadata"]:
            return text_of(row, key) == text
        return any(text_of(request, key) == text for request in stored.requests_of(row["trace_id"]))

    speaks_of_requests = (
        filters.statuses or filters.provider_models or filters.request_ids
        or REQUEST_COLUMNS.keys() & filters.texts.keys() or NUMBER_COLUMNS.keys() & filters.ranges.keys()
    )  # fmt: skip
    return [
        row
        for row in stored.feedback
        if _in_time(filters, row["created_at"])
        and _has_texts(row, filters, {**COLUMN_OF, "trace_id": "trace_id"})
        and (
            not speaks_of_requests
            or any(_is(each, filters, REQUEST_COLUMNS) for each in stored.requests_of(row["trace_id"]))
        )
        and all(has(row, key, text) for key, text in filters.metadata.items())
        and _feedback_of_trace(stored, filters, row["trace_id"])
    ]


def feedback_listed(stored: Stored, filters: FeedbackFilters) -> list[Row]:
    """The long way of conditions_on_listed_feedback; what waits has waited for more than a year."""
    stored_as = {"orphaned": "pending", "pending": "younger"}.get(filters.join_state or "", filters.join_state)
    return [
        row
        for row in feedback_asked(stored, filters.shared)
        if stored_as in (None, row["join_state"])
        and all(word.casefold() in text_of(row, "comment").casefold() for word in filters.words)
        and all(
            (limits.least is None or row[name] >= limits.least) and (limits.most is None or row[name] <= limits.most)
            for name, limits in (("value", filters.value), ("weight", filters.weight))
        )
    ]


def _in_time(filters: LogFilters, at: datetime) -> bool:
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    return (filters.since is None or at >= filters.since) and (filters.until is None or at < filters.until)


def _has_texts(row: Row, filters: LogFilters, columns: dict[str, str]) -> bool:
    return all(row[column] in filters.texts[name] for name, column in columns.items() if name in filters.texts)


def _is(row: Row, filters: LogFilters, columns: dict[str, str]) -> bool:
    numbers = all(
        row[column] is not None
        and (limits.least is None or row[column] >= limits.least)
        and (limits.most is None or row[column] <= limits.most)
        for name, column in NUMBER_COLUMNS.items()
        if (limits := filters.ranges.get(name))
    )
    pair = (row["provider"], row["model"])
    return (
        _has_texts(row, filters, columns)
        and numbers
        and (not filters.statuses or row["status"] in filters.statuses)
        and (not filters.provider_models or pair in filters.provider_models)
        and (not filters.request_ids or row["request_id"] in filters.request_ids)
    )


def _feedback_of_trace(stored: Stored, filters: LogFilters, trace_id: str) -> bool:
    limits, group = filters.ranges.get("weighted_feedback"), stored.feedback_of(trace_id)
    if filters.has_feedback not in (None, bool(group)):
        return False
    if limits is None:
        return True
    return bool(group) and (
        (limits.least is None or total(group) >= limits.least * len(group))
        and (limits.most is None or total(group) <= limits.most * len(group))
    )


def text_of(row: Row, key: str) -> str:
    value = row[key] if key in SPECIALS else row["metadata"].get(key, "")
    return value if isinstance(value, str) else json.dumps(value)


def sums_of(rows: list[Row]) -> Sums:
    counts = tuple(sum(row["value"] == value for row in rows) for value in VALUES)
    weight = sum((row["weight"] for row in rows), Decimal(0))
    return Sums(len(rows), weight, sum((row["value"] * row["weight"] for row in rows), Decimal(0)), counts)
