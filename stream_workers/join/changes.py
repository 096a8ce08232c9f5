"""The changes that follow from events, from which rows and messages are made."""

from dataclasses import dataclass, field

from stream_workers.join.incoming_events import IncomingEvent, RejectedRecord
from stream_workers.join.request_facts import RequestFact
from stream_workers.join.snapshots import FeedbackSnapshot, TraceSnapshot


@dataclass
class Changes:
    """What follows from events: journal entries, snapshots to store and publish, and events that are rejected."""

    journal: list[tuple[IncomingEvent, RequestFact | None]] = field(default_factory=list)
    requests: list[IncomingEvent] = field(default_factory=list)
    feedback: list[FeedbackSnapshot] = field(default_factory=list)
    traces: list[TraceSnapshot] = field(default_factory=list)
    rejected: list[RejectedRecord] = field(default_factory=list)

    def add(self, later: "Changes") -> None:
        """Add the changes of later events on other traces."""
        self.journal += later.journal
        self.requests += later.requests
        self.feedback += later.feedback
        self.traces += later.traces
        self.rejected += later.rejected
