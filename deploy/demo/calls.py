"""A made-up call of the HTTP API. Pure data."""

from datetime import datetime
from typing import Any, Literal, NamedTuple

Kind = Literal["log", "create", "update", "delete"]


class ApiCall(NamedTuple):
    """A call and its time. `feedback` is the number, from 0, of the feedback that it creates, changes or deletes."""

    at: datetime
    kind: Kind
    body: dict[str, Any]
    feedback: int = -1
