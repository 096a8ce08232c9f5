"""In which order requests are listed: newest or oldest first, or by one of their numbers.

Pure. Of one number the newest request comes first, and a request without the number comes last in both directions. A
cursor holds the number of the last request of its page besides its time and id, so what comes in meanwhile moves
nothing. Feedback that comes in meanwhile does move the requests of its trace in an order by feedback.
"""

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from starlette.datastructures import QueryParams

from query_api.analytics.parameters import Direction, direction_of
from query_api.exact_quotients import quotient
from query_api.filters.conditions import Conditions
from query_api.filters.cursors import Place, add_place, cursor_of, place_in
from query_api.filters.parameter_values import shown
from query_api.filters.parameters import parameter
from runtime.http_errors import ApiError

BY_TIME = "created_at"
OF_REQUESTS: Mapping[str, str] = {
    "response_time": "l.response_time_ms",
    "total_units": "l.total_tokens",
    "cost": "l.cost",
}
"""Numbers of a row of feedback.request_log_rows called `l`, by the field of an answer."""
OF_FEEDBACK: Mapping[str, str] = {
    "feedback_count": "toFloat64(feedback_count)",
    "mean_value_weight": f"toNullable({quotient('value_weight_sum', 'feedback_count')})",
    "weighted_mean": f"if(weight_sum = 0, NULL, {quotient('value_weight_sum', 'weight_sum')})",
}
"""Numbers of a row of feedback.trace_aggregates. Without such a row the count is 0."""
NAMES = (BY_TIME, *OF_REQUESTS, *OF_FEEDBACK)
PARAMETERS = ("order_by", "order_by_type")

_NUMBER = struct.Struct(">?d")
_NUMBER_CHARS = 12


class RankPlace(NamedTuple):
    """A request's place in an order: its number, if it has one, then its time and id."""

    number: float | None
    place: Place


@dataclass(frozen=True)
class RequestOrder:
    """What requests are sorted by, one of NAMES, and in which direction."""

    by: str = BY_TIME
    direction: Direction = "desc"

    @property
    def is_newest_first(self) -> bool:
        """Whether this is the order of a list that asks for none."""
        return self == RequestOrder()

    @property
    def _kind(self) -> str:
        """What cursors of this order begin with."""
        return f"{'a' if self.direction == 'asc' else 'd'}{NAMES.index(self.by)}"

    def cursor(self, row: Mapping[str, Any]) -> str:
        """The cursor after this row, whose number is its `rank`."""
        number = row["rank"]
        packed = urlsafe_b64encode(_NUMBER.pack(number is not None, number or 0.0)).decode()
        return cursor_of(self._kind + packed, row["created_at"], row["id"])

    def place_in(self, query: QueryParams) -> RankPlace | None:
        """Where the page begins. ApiError for a cursor that this order never gave."""
        packed = query.get("cursor", "")[2 : 2 + _NUMBER_CHARS]
        try:
            is_known, number = _NUMBER.unpack(urlsafe_b64decode(packed.encode()))
        except (struct.error, Error, UnicodeEncodeError):
            packed, is_known, number = "?", False, 0.0
        place = place_in(query, self._kind + packed)
        return place and RankPlace(number if is_known else None, place)


def order_in(query: QueryParams) -> RequestOrder:
    """The order that a query string asks for. Raises ApiError."""
    given = query.get("order_by", BY_TIME)
    if given not in NAMES:
        raise ApiError(f"order_by must be one of {', '.join(NAMES)}, got {shown(given)}", "order_by")
    return RequestOrder(given, direction_of(query))


def add_rank_place(conditions: Conditions, order: RequestOrder, after: RankPlace | None, number: str) -> None:
    """Ask for what comes after a place in an order by `number`, an expression."""
    if after is None:
        return
    older = Conditions()
    add_place(older, after.place, "l.started_at", "l.request_id", newest_first=True)
    if after.number is None:
        conditions.add(f"{number} IS NULL AND {older.text}", **older.parameters)
        return
    beyond = "<" if order.direction == "desc" else ">"
    conditions.add(
        f"{number} {beyond} {{place_number:Float64}} OR {number} IS NULL"
        f" OR ({number} = {{place_number:Float64}} AND {older.text})",
        place_number=after.number,
        **older.parameters,
    )


def openapi_order_parameters() -> list[dict[str, Any]]:
    """The order as parameters of an OpenAPI operation."""
    by = parameter(
        "order_by",
        "What requests are sorted by: created_at, when they began, or a number of theirs. Of one number the newest"
        " comes first, and what has no such number comes last. Any order but newest first needs time_of_generation_min"
        " and time_of_generation_max, since all of the range is looked at.",
        "cost",
    )
    by["schema"] |= {"enum": list(NAMES), "default": BY_TIME}
    direction = parameter("order_by_type", "desc or asc; desc by default.", "desc")
    direction["schema"] |= {"enum": ["asc", "desc"], "default": "desc"}
    return [by, direction]
