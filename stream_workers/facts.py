"""What the requests on a trace say about its feedback.

Facts are a function of the set of requests, never of the order in which they came: all models and providers, and
for each special field the value of the earliest request that has it.
"""

from dataclasses import dataclass, field

import msgspec

SPECIAL_FIELDS = ("user", "organisation", "prompt", "environment")


class RequestFact(msgspec.Struct, kw_only=True, omit_defaults=True):
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


@dataclass(slots=True)
class Facts:
    """What is known of a trace's requests. `requests` maps each request id to the sequence it first came by."""

    requests: dict[str, int] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)
    providers: set[str] = field(default_factory=set)
    earliest: dict[str, tuple[int, str, str]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self.requests)

    def add(self, request_id: str, fact: RequestFact, sequence: int) -> bool:
        """Take in a request; a second one of the same id changes nothing. True if feedback must be rewritten."""
        if request_id in self.requests:
            return False
        self.requests[request_id] = sequence
        changed = len(self.requests) == 1
        for found, known in ((fact.model, self.models), (fact.provider, self.providers)):
            if found and found not in known:
                known.add(found)
                changed = True
        for name in SPECIAL_FIELDS:
            if value := getattr(fact, name):
                candidate = (fact.started_at, request_id, value)
                held = self.earliest.get(name)
                if held is None or candidate < held:
                    self.earliest[name] = candidate
                    changed = changed or held is None or held[2] != value
        return changed

    def specials(self) -> tuple[str, str, str, str]:
        """Per special field the earliest request's value, or the empty string."""
        user, organisation, prompt, environment = (
            held[2] if (held := self.earliest.get(name)) else "" for name in SPECIAL_FIELDS
        )
        return (user, organisation, prompt, environment)
