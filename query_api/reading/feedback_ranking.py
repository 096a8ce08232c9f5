"""Pages of feedback by its value, the worst or the best first and, of one value, the newest first.

Promises what pages of a list do: what comes in meanwhile moves nothing. A feedback whose value is changed meanwhile
moves, and may so be listed twice or not at all.
"""

from typing import Any, Literal, get_args

from starlette.datastructures import QueryParams

from query_api.clickhouse import Reader
from query_api.filters.conditions import Conditions
from query_api.filters.cursors import Place, cursor_of, place_in
from query_api.filters.feedback_conditions import conditions_on_listed_feedback
from query_api.filters.feedback_parameters import FeedbackFilters
from query_api.filters.parameter_values import shown
from query_api.filters.parameters import parameter
from query_api.reading.feedback_page import COLUMNS, ListedFeedback, listed
from runtime.http_errors import ApiError

Order = Literal["newest", "worst", "best"]
Ranking = Literal["worst", "best"]
ValuePlace = tuple[int, Place]
"""A feedback's place in a ranking: its value, then its time and id."""

_KINDS: dict[Ranking, str] = {"worst": "w", "best": "b"}
_LETTERS = "ABCDEFGHIJKLMNOPQRSTU"
"""Of values in a cursor, from -10 to 10."""


def order_in(query: QueryParams) -> Order:
    """Which order is asked for. Raises ApiError."""
    given = query.get("order", "newest")
    if given not in get_args(Order):
        raise ApiError(f"order must be newest, worst or best, got {shown(given)}", "order")
    return given  # type: ignore[return-value]


def openapi_order_parameter() -> dict[str, Any]:
    """The order as a parameter of an OpenAPI operation."""
    order = parameter(
        "order",
        "newest, or by value: worst (lowest first) or best (highest first), of one value the newest first. Both need"
        " time_of_generation_min and time_of_generation_max, since all of the range is looked at.",
        "worst",
    )
    order["schema"] |= {"enum": list(get_args(Order)), "default": "newest"}
    return order


def value_cursor(ranking: Ranking, last: ListedFeedback) -> str:
    """The cursor after this feedback."""
    return cursor_of(_KINDS[ranking] + _LETTERS[last.value + 10], last.created_at, last.id)


def value_place_in(query: QueryParams, ranking: Ranking) -> ValuePlace | None:
    """Where the page begins. ApiError for a cursor that this ranking never gave."""
    letter = query.get("cursor", "")[1:2]
    value = _LETTERS.find(letter) - 10
    place = place_in(query, _KINDS[ranking] + (letter if value >= -10 else "?"))
    return place and (value, place)


async def ranked_page(
    reader: Reader, filters: FeedbackFilters, ranking: Ranking, after: ValuePlace | None, count: int
) -> list[ListedFeedback]:
    """The first `count` after a place. Raises what the client raises."""
    conditions = conditions_on_listed_feedback(filters, "f")
    if after is not None:
        _add_value_place(conditions, ranking, *after)
    query = f"""
        SELECT {COLUMNS} FROM feedback.feedback_rows AS f FINAL WHERE {conditions.text}
        ORDER BY f.value {"ASC" if ranking == "worst" else "DESC"}, f.created_at DESC, f.feedback_id DESC
        LIMIT {{count:UInt32}}
    """
    rows = await reader.rows(query, conditions.parameters | {"count": count})
    return await listed(reader, filters, rows)


def _add_value_place(conditions: Conditions, ranking: Ranking, value: int, place: Place) -> None:
    beyond = ">" if ranking == "worst" else "<"
    older = "(f.created_at, f.feedback_id) < (fromUnixTimestamp64Milli({place_at:Int64}, 'UTC'), {place_id:UUID})"
    conditions.add(
        f"f.value {beyond} {{place_value:Int8}} OR (f.value = {{place_value:Int8}} AND {older})",
        place_value=value,
        place_at=place.at_ms,
        place_id=str(place.id),
    )
