"""The columns of the table of requests that the viewer has chosen, stored in a cookie."""

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response

COOKIE = "feedback_columns"
COLUMNS = {
    "time": "Time",
    "trace": "Trace",
    "model": "Model",
    "path": "Path",
    "prompt": "Prompt",
    "user": "User",
    "organisation": "Organisation",
    "environment": "Environment",
    "status": "Status",
    "latency": "Latency",
    "tokens": "Tokens",
    "cost": "Cost",
    "count": "Feedback Count",
    "pairs": "Value : Weight",
    "average": "Weighted average",
}
SORTED_BY = {
    "time": "created_at",
    "latency": "response_time",
    "tokens": "total_units",
    "cost": "cost",
    "count": "feedback_count",
    "average": "weighted_mean",
}
"""What the API sorts by, by the column that shows it."""
OF_FEEDBACK = frozenset({"count", "average"})
NUMERIC = frozenset({"latency", "tokens", "cost", "count", "average"})
_DEFAULT = tuple(name for name in COLUMNS if name not in ("trace", "path", "organisation"))


def columns_of(request: Request) -> tuple[str, ...]:
    """The chosen columns, in order; time is always one of them."""
    return _known(request.cookies.get(COOKIE, "").split(".")) or _DEFAULT


def remember(response: Response, chosen: Iterable[str]) -> None:
    """Store the choice in the browser for a year."""
    response.set_cookie(COOKIE, ".".join(_known(chosen)), max_age=365 * 86_400, samesite="lax", path="/logs")


def _known(names: Iterable[str]) -> tuple[str, ...]:
    wanted = set(names) & COLUMNS.keys()
    return tuple(name for name in COLUMNS if name in wanted or name == "time") if wanted else ()
