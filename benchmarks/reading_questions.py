"""What `benchmarks.reading` asks of every reading endpoint, the goal of each question, and its floor.

The floor of a question is the best query that we can write by hand for that answer and the tables at hand, without what
the answer's promises cost: no FINAL where a version may be an old one, no exact boundaries, one statement.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from benchmarks.reading_rows import PROMPTS, Month, trace_id
from benchmarks.reading_values import FEEDBACK, REQUESTS, SPECIAL, Case, StoredValues, said_sql
from query_api.filters.cursors import cursor_of


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
        self._values, self.now = StoredValues(client, month, now), now

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
            at, identity = self._values.place(REQUESTS, "started_at", "request_id")
            return page(f"started_at <= '{at:%F %T.%f}'", cursor=cursor_of("l", at, identity))

        def metadata(*keys: str, user: bool = False) -> Case:
            wanted = self._values.metadata(*keys, user=user)
            return page(said_sql(wanted), metadata=json.dumps(wanted))

        return [
            Question("logs, newest page", 40, lambda: page("1")),
            Question("logs, page 1,000 by cursor", 40, deep),
            *(
                Question(f"logs by {name}", 120, lambda name=name, column=column: self._values.by(page, name, column))  # type: ignore[misc]
                for name, column in SPECIAL.items()
            ),
            Question("logs by model", 120, lambda: self._values.by(page, "ai_model", "model")),
            Question("logs by status", 120, lambda: page("status = 500", status_code="500")),
            Question("logs by mean feedback", 200, lambda: page("1", weighted_feedback_max="-5")),
            Question("logs by mean feedback, an old hour", 200, self._values.judged_hour(page)),
            Question("logs by metadata, common value", 300, lambda: metadata("plan")),
            Question("logs by metadata, rare value", 300, lambda: metadata("session")),
            Question("logs by two metadata keys", 300, lambda: metadata("plan", "region")),
            Question("logs by two metadata keys and user", 300, lambda: metadata("plan", "region", user=True)),
            Question("logs by trace", 40, lambda: self._values.by_trace(page)),
        ]

    def _feedback(self) -> list[Question]:
        def page(floor: str, **parameters: str) -> Case:
            return Case(
                f"/v1/feedback?{urlencode(parameters)}",
                f"SELECT * FROM {FEEDBACK} WHERE workspace = 'default' AND {floor}"
                " ORDER BY created_at DESC, feedback_id DESC LIMIT 51",
            )

        def deep() -> Case:
            at, identity = self._values.place("feedback.feedback", "created_at", "feedback_id")
            return page(f"created_at <= '{at:%F %T.%f}'", cursor=cursor_of("f", at, identity))

        def metadata(*keys: str) -> Case:
            wanted = self._values.metadata(*keys)
            requests = f"SELECT trace_id FROM {REQUESTS} WHERE workspace = 'default' AND {said_sql(wanted)}"
            return page(f"trace_id IN ({requests})", metadata=json.dumps(wanted))

        return [
            Question("feedback, newest page", 40, lambda: page("1")),
            Question("feedback, page 1,000 by cursor", 40, deep),
            *(
                Question(
                    f"feedback by {name}",
                    120,
                    lambda name=name, column=column: self._values.by(page, name, column),  # type: ignore[misc]
                )
                for name, column in SPECIAL.items()
            ),
            Question(
                "feedback by model",
                120,
                lambda: self._values.by(page, "ai_model", "models", "has({column}, '{value}')"),
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
            Question("feedback by trace", 40, lambda: self._values.by_trace(page)),
        ]

    def _single(self) -> list[Question]:
        def trace() -> Case:
            trace = trace_id(self._values.judged())
            return Case(f"/v1/traces/{trace}", f"SELECT * FROM {REQUESTS} WHERE trace_id = '{trace}'")

        def request() -> Case:
            identity = self._values.id_of("request", self._values.judged())
            return Case(f"/v1/logs/{identity}", f"SELECT * FROM {REQUESTS} WHERE request_id = '{identity}'")

        def receipt() -> Case:
            number = self._values.judged()
            identity = self._values.id_of("feedback", number)
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
                f"/v1/analytics/{name}?{urlencode(self._values.month_until(until) | parameters)}",
                "SELECT toDate(created_at) AS day, count(), sum(weight), sum(value * weight)"
                f" FROM {FEEDBACK} WHERE workspace = 'default' AND {floor} GROUP BY day",
            )

        def graphs(name: str, what: str, *fields: str) -> list[Question]:
            return [
                Question(
                    f"{what}{' by ' if field else ''}{field}",
                    100,
                    lambda field=field: self._values.by(  # type: ignore[misc]
                        lambda floor, **given: graph(name, floor, **given), field, SPECIAL.get(field, "models"),
                        "has({column}, '{value}')" if field == "ai_model" else "{column} = '{value}'",
                    ) if field else graph(name),
                    11,
                )
                for field in fields
            ]  # fmt: skip

        def metadata(key: str) -> Case:
            wanted = self._values.metadata(key)
            requests = f"SELECT trace_id FROM {REQUESTS} WHERE workspace = 'default' AND {said_sql(wanted)}"
            return graph("graphs/feedbacks/weighted", f"trace_id IN ({requests})", metadata=json.dumps(wanted))

        def comparison() -> Case:
            one, other = self._values.chance.sample(range(PROMPTS), 2)
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
            value = key if key in SPECIAL.values() else f"JSONExtractString(metadata, '{key}')"
            return Case(
                f"/v1/analytics/groups/metadata/{quote(key)}?{urlencode(self._values.month_until(self.now))}",
                f"SELECT {value} AS said, count() AS n, sum(cost), sum(total_tokens), max(started_at) FROM {REQUESTS}"
                f" WHERE workspace = 'default' GROUP BY said ORDER BY n DESC LIMIT 50",
            )

        def feedback(key: str) -> Case:
            value = key if key in SPECIAL.values() else f"JSONExtractString(metadata, '{key}')"
            return Case(
                f"/v1/analytics/groups/feedback-metadata/{quote(key)}?{urlencode(self._values.month_until(self.now))}",
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
