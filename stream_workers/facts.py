"""What the requests on a trace say about its feedback.

Facts are a function of the set of requests, never of the order in which they came: all models and providers, and
for each special field the value of the earliest request that has it.
"""

from bisect import insort

import msgspec
from msgspec import field

Specials = tuple[str, str, str, str]
"""User, organisation, prompt and environment; the empty string where there is none."""

NO_SPECIALS: Specials = ("", "", "", "")


class RequestFact(msgspec.Struct, omit_defaults=True, tag_field="event", tag="fact"):
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


class Facts(msgspec.Struct):
    """What is known of a trace's requests. `requests` maps each request id to the sequence it first came by."""

    requests: dict[str, int] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    providers: list[str] = field(default_factory=list)
    specials: Specials = NO_SPECIALS
    _earliest: tuple[tuple[int, str] | None, ...] = (None, None, None, None)

    @property
    def count(self) -> int:
        return len(self.requests)

    def add(self, request_id: str, fact: RequestFact, sequence: int) -> bool:
        """Take in a request; a second one of the same id changes nothing. True if feedback must be rewritten."""
        if request_id in self.requests:
            return False
        self.requests[request_id] = sequence
        first = len(self.requests) == 1
        new_model = _add_sorted(self.models, fact.model)
        new_provider = _add_sorted(self.providers, fact.provider)
        return self._add_specials(request_id, fact) or new_model or new_provider or first

    def _add_specials(self, request_id: str, fact: RequestFact) -> bool:
        values = (fact.user, fact.organisation, fact.prompt, fact.environment)
        if not any(values):
            return False
        at, shown, earliest = (fact.started_at, request_id), list(self.specials), list(self._earliest)
        for i, value in enumerate(values):
            first = earliest[i]
            if value and (first is None or at < first):
                earliest[i], shown[i] = at, value
        self._earliest = tuple(earliest)
        before, self.specials = self.specials, (shown[0], shown[1], shown[2], shown[3])
        return before != self.specials


def _add_sorted(names: list[str], name: str | None) -> bool:
    if not name or name in names:
        return False
    insort(names, name)
    return True
