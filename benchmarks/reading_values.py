"""The values that questions of `benchmarks.reading` ask for: those of requests and traces that a stored month holds."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.reading_rows import Month, trace_id
from schemas.ids import trace_key
from schemas.murmur2 import murmur2

REQUESTS, FEEDBACK = "feedback.request_log_rows", "feedback.feedback_rows"
DEEP = 999 * 50
SPECIAL = {
    "user": "_user", "organisation": "_organisation", "prompt_slug": "_prompt", "environment": "_environment"
}  # fmt: skip
_COLUMNS = SPECIAL | {"ai_model": "model"}


@dataclass(frozen=True)
class Case:
    """One question with its values: the path, and the floor's statement."""

    path: str
    floor: str


class StoredValues:
    """Values of one stored month, the same in every run; each call gives another."""

    def __init__(self, client: Any, month: Month, now: datetime) -> None:
        self._client, self._month, self.chance = client, month, random.Random(7)
        self._traces = month.number(int(now.timestamp() * 1000)) * 4 // 5
        self.now = now

    def by(self, page: Callable[..., Case], name: str, column: str, condition: str = "{column} = '{value}'") -> Case:
        value = str(self.said_by_a_request(_COLUMNS[name]))
        return page(condition.format(column=column, value=value), **{name: value})

    def by_trace(self, page: Callable[..., Case]) -> Case:
        trace = trace_id(self.judged())
        return page(f"trace_id = '{trace}'", trace_id=trace)

    def judged_hour(self, page: Callable[..., Case]) -> Callable[[], Case]:
        def of_hour() -> Case:
            since = self.now - self.chance.uniform(0.5, 0.7) * timedelta(days=self._month.days)
            until = since + timedelta(hours=1)
            within = f"started_at BETWEEN '{since:%F %T}' AND '{until:%F %T}'"
            return page(
                within, weighted_feedback_max="-5", time_of_generation_min=since.isoformat(),
                time_of_generation_max=until.isoformat(),
            )  # fmt: skip

        return of_hour

    def judged(self) -> int:
        """A trace with feedback and a request, some time ago."""
        return self.chance.randrange(self._traces // 10, self._traces * 9 // 10) // 8 * 8

    def metadata(self, *keys: str, user: bool = False) -> dict[str, str]:
        said = json.loads(self.said_by_a_request("metadata"))
        return {key: said[key] for key in (*keys, *(["_user"] if user else []))}

    def said_by_a_request(self, column: str) -> Any:
        at = datetime.fromtimestamp(self._month.at(self.judged() // 4 * 5) / 1000, UTC)
        return self._client.query(
            f"SELECT {column} FROM {REQUESTS} WHERE workspace = 'default' AND started_at >= '{at:%F %T}'"
            " ORDER BY started_at LIMIT 1"
        ).first_row[0]

    def id_of(self, kind: str, trace: int) -> str:
        statement = (
            f"SELECT toString(id) FROM feedback.journal WHERE trace_hash = murmur AND kind = '{kind}'"
            f" AND position(line, '{trace_id(trace)}') > 0 ORDER BY sequence LIMIT 1"
        )
        return str(self._client.query(statement.replace("murmur", str(_hash(trace)))).first_row[0])

    def place(self, table: str, time: str, identity: str) -> tuple[datetime, str]:
        """The last item of page 999."""
        at, found = self._client.query(
            f"SELECT {time}, toString({identity}) FROM {table} WHERE workspace = 'default'"
            f" ORDER BY {time} DESC, {identity} DESC LIMIT 1 OFFSET (SELECT least({DEEP}, count() - 100) FROM {table})"
        ).first_row
        return at.replace(tzinfo=UTC), found

    def month_until(self, until: datetime) -> dict[str, str]:
        since = self.now - timedelta(days=self._month.days)
        return {"time_of_generation_min": since.isoformat(), "time_of_generation_max": until.isoformat()}


def said_sql(wanted: Mapping[str, str]) -> str:
    return " AND ".join(
        f"{key} = '{value}'" if key in SPECIAL.values() else f"JSONExtractString(metadata, '{key}') = '{value}'"
        for key, value in wanted.items()
    )


def _hash(trace: int) -> int:
    return murmur2(trace_key("default", trace_id(trace)))
