"""What `benchmarks.reading` asks of every reading endpoint, the goal of each question, and its floor.

The floor of a question is the best query that we can write by hand for that answer and the tables at hand, without what
the answer's promises cost: no FINAL where a version may be an old one, no exact boundaries, one statement.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from benchmarks.reading_data import PROMPTS, Month, trace_id
from query_api.filters.cursors import cursor_of
from schemas.ids import trace_key
from schemas.murmur2 import murmur2

REQUESTS, FEEDBACK = "feedback.request_log_rows", "feedback.feedback_rows"
DEEP = 999 * 50
Parameters = Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """One question with its values: the path, and the floor's statement."""

    path: str
    floor: str


@dataclass(frozen=True)
class Question:
    """A kind of question. `make` gives a case with other values each time; `goal_ms` is for the size of ten million;
    `most_growth` is the factor by which it may take longer at ten times the rows."""

    name: str
    goal_ms: float | None
    make: Callable[[], Case]
    most_growth: float = 3


class Asking:
    """The values of questions about one stored month, the same in every run."""

    def __init__(self, client: Any, month: Month, now: datetime) -> None:
        self._client, self._month, self._chance = client, month, random.Random(7)
        self._traces = month.number(int(now.timestamp() * 1000)) * 4 // 5
        self.now = now

    def questions(self) -> list[Question]:
        return [*self._logs(), *self._feedback(), *self._single(), *self._graphs(), *self._groups()]

    def _logs(self) -> list[Question]:
        def page(floor: str, **parameters: str) -> Case:
            where = f"workspace = 'default' AND {floor}"
            return Case(
                f"/v1/logs?{urlencode(parameters)}",
                f"SELECT * EXCEPT (request_headers, request_body, response_headers, response_body) FROM {REQUESTS}"
                f" WHERE {where} ORDER BY started_at DESC, request_id DESC LIMIT 51",
            )

        def deep() -> Case:
            at, identity = self._place(REQUESTS, "started_at", "request_id")
            return page(f"started_at <= '{at:%F %T.%f}'", cursor=cursor_of("l", at, identity))

        def metadata(*keys: str, user: bool = False) -> Case:
            wanted = self._metadata(*keys, user=user)
            return page(_said(wanted), metadata=json.dumps(wanted))

        return [
            Question("logs, newest page", 40, lambda: page("1")),
            Question("logs, page 1,000 by cursor", 40, deep),
            *(
                Question(f"logs by {name}", 120, lambda name=name, column=column: self._by(page, name, column))  # type: ignore[misc]
                for name, column in _SPECIAL.items()
            ),
            Question("logs by model", 120, lambda: self._by(page, "ai_model", "model")),
            Question("logs by status", 120, lambda: page("status = 500", status_code="500")),
            Question("logs by mean feedback", 200, lambda: page("1", weighted_feedback_max="-5")),
            Question("logs by mean feedback, an old hour", 200, self._judged_hour(page)),
            Question("logs by metadata, common value", 300, lambda: metadata("plan")),
            Question("logs by metadata, rare value", 300, lambda: metadata("session")),
            Question("logs by two metadata keys", 300, lambda: metadata("plan", "region")),
            Question("logs by two metadata keys and user", 300, lambda: metadata("plan", "region", user=True)),
            Question("logs by trace", 40, lambda: self._by_trace(page)),
        ]

    def _feedback(self) -> list[Question]:
        def page(floor: str, **parameters: str) -> Case:
            return Case(
                f"/v1/feedback?{urlencode(parameters)}",
                f"SELECT * FROM {FEEDBACK} WHERE workspace = 'default' AND {floor}"
                " ORDER BY created_at DESC, feedback_id DESC LIMIT 51",
            )

        def deep() -> Case:
            at, identity = self._place("feedback.feedback", "created_at", "feedback_id")
            return page(f"created_at <= '{at:%F %T.%f}'", cursor=cursor_of("f", at, identity))

        def metadata(*keys: str) -> Case:
            wanted = self._metadata(*keys)
            requests = f"SELECT trace_id FROM {REQUESTS} WHERE workspace = 'default' AND {_said(wanted)}"
            return page(f"trace_id IN ({requests})", metadata=json.dumps(wanted))

        return [
            Question("feedback, newest page", 40, lambda: page("1")),
            Question("feedback, page 1,000 by cursor", 40, deep),
            *(
                Question(f"feedback by {name}", 120, lambda name=name, column=column: self._by(page, name, column))  # type: ignore[misc]
                for name, column in _SPECIAL.items()
            ),
            Question(
                "feedback by model",
                120,
                lambda: self._by(page, "ai_model", "models", "has({column}, '{value}')"),
            ),
            Question(
                "feedback by status of the request",
                120,
                lambda: page(f"trace_id IN (SELECT trace_id FROM {REQUESTS} WHERE status = 500)", status_code="500"),
            ),
            Question("feedback by join state", 120, lambda: page("join_state = 'pending'", join_state="orphaned")),
            Question("feedback by mean feedback", 200, lambda: page("value <= -5", weighted_feedback_max="-5")),
            Question("feedback by metadata of the request", 300, lambda: metadata("plan")),
            Question("feedback by metadata of the request, rare value", 300, lambda: metadata("session")),
            Question("feedback by trace", 40, lambda: self._by_trace(page)),
        ]

    def _single(self) -> list[Question]:
        def trace() -> Case:
            trace = trace_id(self._judged())
            return Case(f"/v1/traces/{trace}", f"SELECT * FROM {REQUESTS} WHERE trace_id = '{trace}'")

        def request() -> Case:
            identity = self._id("request", self._judged())
            return Case(f"/v1/logs/{identity}", f"SELECT * FROM {REQUESTS} WHERE request_id = '{identity}'")

        def receipt() -> Case:
            number = self._judged()
            identity = self._id("feedback", number)
            by_hash = f"trace_hash IN (SELECT trace_hash FROM feedback.journal WHERE id = '{identity}')"
            return Case(f"/v1/feedback/{identity}", f"SELECT * FROM feedback.journal WHERE {by_hash}")

        return [
            Question("one trace", 40, trace),
            Question("one request", 40, request),
            Question("one receipt", 40, receipt),
        ]

    def _graphs(self) -> list[Question]:
        def graph(name: str, floor: str = "1", until: datetime | None = None, **parameters: str) -> Case:
            until = until or self.now
            return Case(
                f"/v1/analytics/{name}?{urlencode(self._month_until(until) | parameters)}",
                "SELECT toDate(created_at) AS day, count(), sum(weight), sum(value * weight)"
                f" FROM {FEEDBACK} WHERE workspace = 'default' AND {floor} GROUP BY day",
            )

        def graphs(name: str, what: str, *fields: str) -> list[Question]:
            return [
                Question(
                    f"{what}{' by ' if field else ''}{field}",
                    100,
                    lambda field=field: self._by(  # type: ignore[misc]
                        lambda floor, **given: graph(name, floor, **given), field, _SPECIAL.get(field, "models"),
                        "has({column}, '{value}')" if field == "ai_model" else "{column} = '{value}'",
                    ) if field else graph(name),
                    11,
                )
                for field in fields
            ]  # fmt: skip

        def metadata(key: str) -> Case:
            wanted = self._metadata(key)
            requests = f"SELECT trace_id FROM {REQUESTS} WHERE workspace = 'default' AND {_said(wanted)}"
            return graph("graphs/feedbacks/weighted", f"trace_id IN ({requests})", metadata=json.dumps(wanted))

        def comparison() -> Case:
            one, other = self._chance.sample(range(PROMPTS), 2)
            return graph(
                "comparison", f"_prompt IN ('prompt-{one}', 'prompt-{other}')",
                prompt_slug=f"prompt-{one}", baseline_prompt_slug=f"prompt-{other}",
            )  # fmt: skip

        hour = self.now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
        statuses = f"trace_id IN (SELECT trace_id FROM {REQUESTS} WHERE status = 500)"
        return [
            *graphs("graphs/feedbacks", "count graph", "", "prompt_slug", "user"),
            *graphs("graphs/feedbacks/weighted", "mean graph", "", "prompt_slug", "environment", "ai_model"),
            *graphs("graphs/feedbacks/scores", "value graph", "", "organisation"),
            *graphs("graphs/feedbacks/ai-models", "model graph", "", "prompt_slug"),
            Question(
                "mean graph of a month that ended an hour ago", 100,
                lambda: graph("graphs/feedbacks/weighted", until=hour), 11,
            ),
            Question("mean graph by metadata", 600, lambda: metadata("plan"), 11),
            Question("mean graph by metadata, rare value", 600, lambda: metadata("session"), 11),
            Question(
                "mean graph by status of the request", 600,
                lambda: graph("graphs/feedbacks/weighted", statuses, status_code="500"), 11,
            ),
            Question("comparison of two prompts", 200, comparison, 11),
        ]  # fmt: skip

    def _groups(self) -> list[Question]:
        def requests(key: str) -> Case:
            value = key if key in _SPECIAL.values() else f"JSONExtractString(metadata, '{key}')"
            return Case(
                f"/v1/analytics/groups/metadata/{quote(key)}?{urlencode(self._month_until(self.now))}",
                f"SELECT {value} AS said, count() AS n, sum(cost), sum(total_tokens), max(started_at) FROM {REQUESTS}"
                f" WHERE workspace = 'default' GROUP BY said ORDER BY n DESC LIMIT 50",
            )

        def feedback(key: str) -> Case:
            value = key if key in _SPECIAL.values() else f"JSONExtractString(metadata, '{key}')"
            return Case(
                f"/v1/analytics/groups/feedback-metadata/{quote(key)}?{urlencode(self._month_until(self.now))}",
                f"SELECT {value} AS said, count() AS n, sum(weight), sum(value * weight) FROM {FEEDBACK}"
                f" WHERE workspace = 'default' GROUP BY said ORDER BY n DESC LIMIT 50",
            )

        return [
            *(Question(f"requests by {key}", 300, lambda key=key: requests(key), 11) for key in ("_user", "_prompt")),  # type: ignore[misc]
            *(Question(f"requests by metadata {key}", 800, lambda key=key: requests(key), 11)  # type: ignore[misc]
              for key in ("plan", "release", "session")),
            *(Question(f"feedback by {key}", 300, lambda key=key: feedback(key), 11)  # type: ignore[misc]
              for key in ("_user", "_environment")),
            Question("feedback by metadata source", 800, lambda: feedback("source"), 11),
        ]  # fmt: skip

    def _by(self, page: Callable[..., Case], name: str, column: str, condition: str = "{column} = '{value}'") -> Case:
        value = str(self._said_by_a_request(_COLUMNS[name]))
        return page(condition.format(column=column, value=value), **{name: value})

    def _by_trace(self, page: Callable[..., Case]) -> Case:
        trace = trace_id(self._judged())
        return page(f"trace_id = '{trace}'", trace_id=trace)

    def _judged_hour(self, page: Callable[..., Case]) -> Callable[[], Case]:
        def of_hour() -> Case:
            since = self.now - self._chance.uniform(0.5, 0.7) * timedelta(days=self._month.days)
            until = since + timedelta(hours=1)
            within = f"started_at BETWEEN '{since:%F %T}' AND '{until:%F %T}'"
            return page(
                within, weighted_feedback_max="-5", time_of_generation_min=since.isoformat(),
                time_of_generation_max=until.isoformat(),
            )  # fmt: skip

        return of_hour

    def _judged(self) -> int:
        """A trace with feedback and a request, some time ago."""
        return self._chance.randrange(self._traces // 10, self._traces * 9 // 10) // 8 * 8

    def _metadata(self, *keys: str, user: bool = False) -> dict[str, str]:
        said = json.loads(self._said_by_a_request("metadata"))
        return {key: said[key] for key in (*keys, *(["_user"] if user else []))}

    def _said_by_a_request(self, column: str) -> Any:
        at = datetime.fromtimestamp(self._month.at(self._judged() // 4 * 5) / 1000, UTC)
        return self._client.query(
            f"SELECT {column} FROM {REQUESTS} WHERE workspace = 'default' AND started_at >= '{at:%F %T}'"
            " ORDER BY started_at LIMIT 1"
        ).first_row[0]

    def _id(self, kind: str, trace: int) -> str:
        statement = (
            f"SELECT toString(id) FROM feedback.journal WHERE trace_hash = murmur AND kind = '{kind}'"
            f" AND position(line, '{trace_id(trace)}') > 0 ORDER BY sequence LIMIT 1"
        )
        return str(self._client.query(statement.replace("murmur", str(_hash(trace)))).first_row[0])

    def _place(self, table: str, time: str, identity: str) -> tuple[datetime, str]:
        """The last item of page 999."""
        at, found = self._client.query(
            f"SELECT {time}, toString({identity}) FROM {table} WHERE workspace = 'default'"
            f" ORDER BY {time} DESC, {identity} DESC LIMIT 1 OFFSET (SELECT least({DEEP}, count() - 100) FROM {table})"
        ).first_row
        return at.replace(tzinfo=UTC), found

    def _month_until(self, until: datetime) -> dict[str, str]:
        since = self.now - timedelta(days=self._month.days)
        return {"time_of_generation_min": since.isoformat(), "time_of_generation_max": until.isoformat()}


_SPECIAL = {
    "user": "_user", "organisation": "_organisation", "prompt_slug": "_prompt", "environment": "_environment"
}  # fmt: skip
_COLUMNS = _SPECIAL | {"ai_model": "model"}


def _said(wanted: Mapping[str, str]) -> str:
    return " AND ".join(
        f"{key} = '{value}'" if key in _SPECIAL.values() else f"JSONExtractString(metadata, '{key}') = '{value}'"
        for key, value in wanted.items()
    )


def _hash(trace: int) -> int:
    return murmur2(trace_key("default", trace_id(trace)))
