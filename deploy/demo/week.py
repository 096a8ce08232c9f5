"""The demo's week as calls of the API: a pure function of a seed, a number of requests, and the moment it ends.

Beside what is logged and rated there is feedback whose request was never logged: some of it from before the week, so
that it counts as orphaned, and some of the last days, which is still pending.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from deploy.demo.app import App, Visit
from deploy.demo.calls import ApiCall
from deploy.demo.conversations import Conversation
from deploy.demo.ratings import Opinion, opinion_of, opinions
from deploy.demo.schedule import WEEK, Schedule
from deploy.demo.trace_ids import trace_id_of

_REQUESTS_AN_ORPHAN, _REQUESTS_A_PENDING = 240, 160
_HOURS_OF_ORPHANS, _HOURS_OF_PENDING = 20, 40


def week(seed: int, requests: int, end: datetime) -> list[ApiCall]:
    """So many requests and the feedback on them, in the order of their times, none after `end`."""
    return _Week(seed, requests, Schedule(end)).calls()


class _Week:
    def __init__(self, seed: int, requests: int, schedule: Schedule) -> None:
        self._random = Random(seed)
        self._seed = seed
        self._requests = requests
        self._schedule = schedule
        self._app = App(self._random)
        self._traces = 0
        self._feedback = 0

    def calls(self) -> list[ApiCall]:
        made = [*self._conversations(), *self._without_request()]
        return sorted((each for each in made if each.at < self._schedule.end), key=lambda each: each.at)

    def _conversations(self) -> Iterator[ApiCall]:
        left = self._requests
        while left > 0:
            visit = self._app.visit()
            at = self._schedule.visit_at(self._random, visit.organisation.region)
            talk = Conversation(self._random, self._schedule, self._next_trace(), visit, at)
            yield from talk.calls[:left]
            left -= len(talk.calls)
            ended, good, failed = talk.outcome
            for each in opinions(self._random, visit.user, visit.language, good, failed, ended):
                yield from self._given(talk.trace_id, each, {})

    def _without_request(self) -> Iterator[ApiCall]:
        """Feedback on traces of which no request was logged."""
        before, end = self._schedule.end - WEEK, self._schedule.end
        for newest, hours, share in (
            (before, _HOURS_OF_ORPHANS, _REQUESTS_AN_ORPHAN),
            (end, _HOURS_OF_PENDING, _REQUESTS_A_PENDING),
        ):
            for _ in range(max(2, self._requests // share)):
                visit = self._app.visit()
                at = newest - timedelta(hours=self._random.uniform(1, hours))
                said = opinion_of(self._random, visit.user, visit.language, at)
                yield from self._given(self._next_trace(), said._replace(at=at), _of_visit(visit))

    def _given(self, trace_id: str, said: Opinion, more: dict[str, str]) -> Iterator[ApiCall]:
        number, self._feedback = self._feedback, self._feedback + 1
        if said.at >= self._schedule.end:
            return
        created: dict[str, Any] = {"trace_id": trace_id, **said.body, "metadata": {**said.body["metadata"], **more}}
        yield ApiCall(said.at, "create", created, number)
        if said.change:
            at, change = said.change
            changed = {**change, "metadata": {**change["metadata"], **more}}
            yield ApiCall(at, "update", changed, number)
        if said.deleted_at:
            yield ApiCall(said.deleted_at, "delete", {}, number)

    def _next_trace(self) -> str:
        self._traces += 1
        return trace_id_of(self._seed, self._traces)


def _of_visit(visit: Visit) -> dict[str, str]:
    return {"_organisation": visit.organisation.name, "_environment": visit.environment}
