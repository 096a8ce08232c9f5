"""Conversations of the demo: one visit of a user as the requests that the app makes for it and logs.

A question may be followed by others, each answer's span below the one before. Support looks passages up first, which is
a span below the answer's. A request that fails ends the conversation.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from deploy.demo.app import DRAFT, SUMMARY, SUPPORT_V1, SUPPORT_V2, Model, Prompt, Visit
from deploy.demo.calls import ApiCall
from deploy.demo.languages import Exchange, exchange
from deploy.demo.schedule import Schedule

_CHAT_URL = "https://api.example.com/v1/chat/completions"
_SEARCH_URL = "https://search.example.com/v1/search"
_HEADERS = {"content-type": "application/json"}
_QUALITY_LOST, _SLOWER = 0.65, 3.5
_FAILURES, _BAD_FAILURES = 0.012, 0.3
_ERRORS = {
    429: ("rate_limit", "Too many requests, try again later."),
    500: ("server_error", "The server had an error."),
    503: ("overloaded", "The model is overloaded."),
}
_TURNS, _TURN_SHARES = (1, 2, 3), (6, 3, 1)


class Outcome(NamedTuple):
    """How a conversation ended: when, and whether its last answer was good, or failed."""

    at: datetime
    is_good: bool
    has_failed: bool


class Conversation:
    """One trace: its requests as calls, and what came of it."""

    def __init__(self, random: Random, schedule: Schedule, trace_id: str, visit: Visit, at: datetime) -> None:
        self._random = random
        self._schedule = schedule
        self._visit = visit
        self._began = at
        self.trace_id = trace_id
        self.prompt = self._choose_prompt()
        self._messages: list[dict[str, str]] = [{"role": "system", "content": self.prompt.system}]
        self.outcome = Outcome(at, True, False)
        self.calls = list(self._talk())

    @property
    def metadata(self) -> dict[str, str]:
        """What every request of it says."""
        visit, organisation = self._visit, self._visit.organisation
        return {
            "_user": visit.user,
            "_organisation": organisation.name,
            "_prompt": self.prompt.name,
            "_environment": visit.environment,
            "plan": organisation.plan,
            "region": organisation.region,
            "feature": visit.feature,
            "language": visit.language,
            "release": self._schedule.release(self._began, visit.environment),
        }

    @property
    def _is_bad(self) -> bool:
        return self._schedule.is_bad(self._began, self._visit.environment)

    def _choose_prompt(self) -> Prompt:
        if self._visit.feature != "support":
            return SUMMARY if self._visit.feature == "summary" else DRAFT
        share = self._schedule.share_of_new_prompt(self._began)
        return SUPPORT_V2 if self._random.random() < share else SUPPORT_V1

    def _talk(self) -> Iterator[ApiCall]:
        random, at, parent = self._random, self._began, None
        (turns,) = random.choices(_TURNS, _TURN_SHARES)
        for turn in range(turns):
            said = exchange(random, self._visit.language, "follow_up" if turn else self._visit.feature)
            span = _span_id(random)
            if self._visit.feature == "support":
                yield self._search(at + timedelta(milliseconds=15), said.ask, span)
            answered = self._answer(at, said, {"span_id": span, "parent_span_id": parent})
            yield answered
            if self.outcome.has_failed:
                return
            parent, at = span, self.outcome.at + timedelta(seconds=random.uniform(20, 180))

    def _answer(self, at: datetime, said: Exchange, span: dict[str, str | None]) -> ApiCall:
        random, model = self._random, self._visit.model
        self._messages.append({"role": "user", "content": said.ask})
        latency = model.latency_ms * random.lognormvariate(0, 0.35) * (1 + 0.5 * self._schedule.load(at))
        latency *= _SLOWER if self._is_bad else 1
        status, is_good = 200, random.random() < self._quality(model)
        if random.random() < (_BAD_FAILURES if self._is_bad else _FAILURES):
            status, is_good = random.choice(tuple(_ERRORS)), False
        self.outcome = Outcome(at + timedelta(milliseconds=latency), is_good, status != 200)
        asked = {"model": model.name, "messages": list(self._messages), "temperature": 0.2}
        if status == 200:
            answer = {"role": "assistant", "content": said.good if is_good else said.weak}
            response, cost = _completion(model, self._messages, answer)
            self._messages.append(answer)
        else:
            kind, message = _ERRORS[status]
            response, cost = {"error": {"type": kind, "message": message}}, 0.0
        request = {"url": _CHAT_URL, "provider": model.provider, "headers": _HEADERS, "body": asked}
        return self._log(at, latency, request, status, response, {"span_name": "answer", "cost": cost, **span})

    def _quality(self, model: Model) -> float:
        return model.quality + self.prompt.gain - (_QUALITY_LOST if self._is_bad else 0)

    def _search(self, at: datetime, query: str, parent: str) -> ApiCall:
        random = self._random
        found = [
            {"title": f"help/article-{random.randint(1, 60):03}", "score": round(random.uniform(0.5, 0.95), 3)}
            for _ in range(3)
        ]
        request = {"url": _SEARCH_URL, "provider": "search", "headers": _HEADERS, "body": {"query": query, "top": 3}}
        span = {"span_id": _span_id(random), "parent_span_id": parent, "span_name": "retrieve"}
        return self._log(at, random.uniform(40, 160), request, 200, {"results": found}, span)

    def _log(
        self, at: datetime, latency_ms: float, request: dict[str, Any], status: int, response: Any, more: dict[str, Any]
    ) -> ApiCall:
        body = {
            "trace_id": self.trace_id,
            "start_time": at.isoformat(timespec="milliseconds"),
            "request": request,
            "response": {
                "status": status,
                "response_time": round(latency_ms, 1),
                "headers": _HEADERS,
                "body": response,
            },
            "metadata": self.metadata,
            **{name: value for name, value in more.items() if value is not None},
        }
        return ApiCall(at + timedelta(milliseconds=latency_ms), "log", body)


def _completion(model: Model, messages: list[dict[str, str]], answer: dict[str, str]) -> tuple[dict[str, Any], float]:
    """The body of an answer, and its cost in US cents."""
    tokens_in, tokens_out = sum(map(_tokens, messages)), _tokens(answer)
    body: dict[str, Any] = {
        "model": model.name,
        "choices": [{"index": 0, "message": answer, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": tokens_in,
            "completion_tokens": tokens_out,
            "total_tokens": tokens_in + tokens_out,
        },
    }
    return body, round((tokens_in * model.cents_in + tokens_out * model.cents_out) / 1000, 6)


def _tokens(message: dict[str, str]) -> int:
    return 4 + len(message["content"].encode()) // 4


def _span_id(random: Random) -> str:
    return f"{random.getrandbits(64):016x}"
