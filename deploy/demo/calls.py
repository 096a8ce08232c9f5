"""A call of the HTTP API that the demo pretends to have been made: pure data."""

from datetime import datetime
from typing import Any, Literal, NamedTuple

Kind = Literal["log", "create", "update", "delete"]


class ApiCall(NamedTuple):
    """What was sent and when. `feedback` says which feedback of the week is created, changed or deleted, from 0."""

    at: datetime
    kind: Kind
    body: dict[str, Any]
    feedback: int = -1
