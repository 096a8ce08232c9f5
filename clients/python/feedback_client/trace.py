"""The trace that the running code belongs to: its id, and tags that go along with all that is sent about it.

It is held in a context variable, so that each request, thread and task has its own. Copies of a context share one
trace: a tag set in a worker thread of a request is a tag of that request.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from feedback_client.items import ARGUMENTS, MAX_TRACE_ID_CHARS, checked_metadata, checked_trace_id

TRACE_HEADER = "x-portkey-trace-id"

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


@dataclass
class Trace:
    """A trace id and the tags of its trace."""

    trace_id: str
    tags: dict[str, Any] = field(default_factory=dict)


_current: ContextVar[Trace | None] = ContextVar("feedback_trace", default=None)


def current_trace() -> Trace:
    """The trace of this context; a new one where there is none."""
    trace = _current.get()
    if trace is None:
        trace = Trace(new_trace_id())
        _current.set(trace)
    return trace


def trace_at_hand() -> Trace:
    """The trace of this context; where there is none, a new one that the context does not keep.

    A thread that serves one request after the other would otherwise put all their calls into the trace of the first.
    """
    return _current.get() or Trace(new_trace_id())


def trace_id() -> str:
    """The trace id of this context; a new one where there is none, which the context then keeps."""
    return current_trace().trace_id


def tag(
    *,
    user: str | None = None,
    organisation: str | None = None,
    prompt: str | None = None,
    environment: str | None = None,
    **metadata: Any,
) -> None:
    """Add tags to this context's trace: they go along with its later request logs and feedback."""
    for name in ARGUMENTS.keys() & metadata.keys():
        raise ValueError(f"{name} cannot be a tag")
    trace = current_trace()
    trace.tags.update(checked_metadata({**metadata, **specials(user, organisation, prompt, environment)}))


def enter_trace(trace_id: str) -> None:
    """Make the rest of this context part of the given trace."""
    _current.set(Trace(trace_id))


@contextmanager
def use_trace(trace_id: str | None = None) -> Iterator[str]:
    """Run a block as part of the given trace, or of a new one, as for a job that no request started."""
    trace = Trace(new_trace_id() if trace_id is None else checked_trace_id(trace_id))
    token = _current.set(trace)
    try:
        yield trace.trace_id
    finally:
        _current.reset(token)


def specials(user: str | None, organisation: str | None, prompt: str | None, environment: str | None) -> dict[str, str]:
    """The special fields of metadata that are given."""
    given = {"_user": user, "_organisation": organisation, "_prompt": prompt, "_environment": environment}
    return {name: value for name, value in given.items() if value is not None}


def new_trace_id() -> str:
    """32 hex digits at random."""
    return secrets.token_hex(16)


def incoming_trace_id(own: bytes, traceparent: bytes) -> str:
    """The trace id that a request's headers name, or else a new one.

    `own` is the value of `x-portkey-trace-id`, which counts before W3C's `traceparent`. What is malformed is ignored.
    """
    try:
        text = own.decode()
    except UnicodeDecodeError:
        text = own.decode("latin-1")
    if text.isprintable() and 1 <= len(text) <= MAX_TRACE_ID_CHARS:
        return text
    match = _TRACEPARENT.fullmatch(traceparent.decode("latin-1"))
    return match[1] if match else new_trace_id()
