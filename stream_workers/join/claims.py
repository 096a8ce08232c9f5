"""Claims to idempotency keys: each key belongs to the first call that came with it."""

from collections.abc import Sequence

from stream_workers.join.incoming_events import Created, IncomingEvent, Requested

Claim = tuple[str, str]
"""Workspace and idempotency key."""

Keyed = Created | Requested
"""An event that may have come with an idempotency key."""

# A tuple, because isinstance is several times as slow with a union.
_KEYED = (Created, Requested)


def first_of_each_key(events: Sequence[IncomingEvent]) -> dict[Claim, Keyed]:
    """The idempotency keys of the events, each with the first event that came with it."""
    first: dict[Claim, Keyed] = {}
    for incoming in events:
        event = incoming.event
        if isinstance(event, _KEYED) and event.idempotency_key is not None:
            first.setdefault((event.workspace, event.idempotency_key), event)
    return first


def digest_of(event: Keyed) -> str:
    """The digest of the call that sent the event; empty if the event has none."""
    return event.idempotency_digest or ""
