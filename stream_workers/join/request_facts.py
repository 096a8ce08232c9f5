"""The facts that a trace's requests add to its feedback: models, providers and special fields.

Facts are a function of the set of requests, never of the order in which they came: all models and providers, and
for each special field the value of the earliest request that has it.
"""

from bisect import bisect_left
from typing import NamedTuple

import msgspec
from msgspec import field

Specials = tuple[str, str, str, str]
"""User, organisation, prompt and environment; each empty if there is none."""

_DAY_MS = 86_400_000

NO_SPECIALS: Specials = ("", "", "", "")


class RequestFact(msgspec.Struct, omit_defaults=True, tag_field="event", tag="fact", gc=False):
    """The part of a request log that the join needs. `started_at` in Unix milliseconds."""

    workspace: str
    trace_id: str
    started_at: int
    provider: str | None = None
    model: str | None = None
    user: str | None = None
    organisation: str | None = None
    prompt: str | None = None
    environment: str | None = None


class RequestEntry(NamedTuple):
    """An entry of the journal for a request whose record is gone; `recorded_at` in Unix seconds."""

    trace_hash: int
    identity: str
    sequence: int
    partition: int
    recorded_at: int
    fact: RequestFact


class Facts(msgspec.Struct, gc=False, array_like=True):
    """The facts of a trace's requests. `requests` maps each request id to the sequence of its first event; `models` and
    `providers` are sorted. The first of them began on `first_day`, the last on `last_day`, in days of Unix time.
    """

    requests: dict[str, int] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    providers: list[str] = field(default_factory=list)
    specials: Specials = NO_SPECIALS
    _earliest: tuple[tuple[int, str] | None, ...] = (None, None, None, None)
    first_day: int = 0
    last_day: int = 0

    def add(self, request_id: str, fact: RequestFact, sequence: int) -> bool:
        """Add a request; a second one of the same id changes nothing. True if feedback must be rewritten."""
        if not self.requests:
            self._add_first(request_id, fact, sequence)
            return True
        if request_id in self.requests:
            return False
        self.requests[request_id] = sequence
        day = fact.started_at // _DAY_MS
        self.first_day, self.last_day = min(self.first_day, day), max(self.last_day, day)
        changed = _insert(self.models, fact.model) | _insert(self.providers, fact.provider)
        if fact.user or fact.organisation or fact.prompt or fact.environment:
            changed |= self._add_specials((fact.started_at, request_id), fact)
        return changed

    def _add_first(self, request_id: str, fact: RequestFact, sequence: int) -> None:
        """Add the first request, without comparing it with others: most traces have only one."""
        self.requests[request_id] = sequence
        self.first_day = self.last_day = fact.started_at // _DAY_MS
        if fact.model:
            self.models = [fact.model]
        if fact.provider:
            self.providers = [fact.provider]
        user, organisation, prompt, environment = fact.user, fact.organisation, fact.prompt, fact.environment
        if user or organisation or prompt or environment:
            at = (fact.started_at, request_id)
            self.specials = (user or "", organisation or "", prompt or "", environment or "")
            self._earliest = (
                at if user else None,
                at if organisation else None,
                at if prompt else None,
                at if environment else None,
            )

    def _add_specials(self, at: tuple[int, str], fact: RequestFact) -> bool:
        before, shown, earliest = self.specials, list(self.specials), list(self._earliest)
        for i, value in enumerate((fact.user, fact.organisation, fact.prompt, fact.environment)):
            if value and ((first := earliest[i]) is None or at < first):
                earliest[i], shown[i] = at, value
        self._earliest = tuple(earliest)
        self.specials = (shown[0], shown[1], shown[2], shown[3])
        return self.specials != before


def _insert(names: list[str], name: str | None) -> bool:
    """Insert a name into sorted names; False if it is empty or already there."""
    if not name:
        return False
    place = bisect_left(names, name)
    if place < len(names) and names[place] == name:
        return False
    names.insert(place, name)
    return True
