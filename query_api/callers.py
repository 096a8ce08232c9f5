"""Who asks: the workspace whose data an answer may hold, and what the caller may do there."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends


@dataclass(frozen=True)
class Caller:
    """One caller. Every query is confined to `workspace`."""

    workspace: str


async def _caller() -> Caller:
    # The one workspace there is while callers are not told apart.
    return Caller("default")


FeedbackReader = Annotated[Caller, Depends(_caller)]
"""A caller who may read feedback (scope feedback.read)."""

LogsReader = Annotated[Caller, Depends(_caller)]
"""A caller who may read request logs (scope logs.read)."""

AnalyticsReader = Annotated[Caller, Depends(_caller)]
"""A caller who may read analytics (scope analytics.read)."""
