"""Pages of a list that is ordered by time and id: a cursor is the place of the last item of the page before.

Pure. What comes in later stands before or after a place and never moves it, so going through all pages tells every item
once that was there at the start.
"""

import re
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from starlette.datastructures import QueryParams

from query_api.filters.conditions import Conditions, milliseconds
from query_api.filters.parameters import parameter
from runtime.http_errors import ApiError

PARAMETERS = ("cursor", "page_size")
DEFAULT_SIZE, LARGEST_SIZE = 50, 100

_CURSOR = re.compile("[A-Za-z0-9_-]{32}")
_PLACE = struct.Struct(">Q16s")
_EARLIEST_MS, _LATEST_MS = 946_684_800_000, 4_102_444_800_000  # 2000 to 2100


class Place(NamedTuple):
    """An item's place in the order: its time in Unix milliseconds and its id."""

    at_ms: int
    id: UUID


def cursor_of(kind: str, at: datetime, identity: str) -> str:
    """The cursor after this item; `kind` are letters that tell lists apart."""
    return kind + urlsafe_b64encode(_PLACE.pack(milliseconds(at), UUID(identity).bytes)).decode()


def place_in(query: QueryParams, kind: str, name: str = "cursor") -> Place | None:
    """Where the page begins: after this place, or at the start. ApiError for a cursor that this list never gave."""
    cursor = query.get(name)
    if cursor is None:
        return None
    if cursor.startswith(kind) and _CURSOR.fullmatch(cursor, len(kind)):
        at_ms, identity = _PLACE.unpack(urlsafe_b64decode(cursor[len(kind) :]))
        if _EARLIEST_MS <= at_ms < _LATEST_MS:
            return Place(at_ms, UUID(bytes=identity))
    raise ApiError(
        f"{name} must be one that this list has answered with, got {cursor[:60]!r}: leave it out to start anew", name
    )


def page_size_in(query: QueryParams) -> int:
    """How many items are asked for; ApiError unless it is one to a hundred."""
    size = query.get("page_size", str(DEFAULT_SIZE))
    if not re.fullmatch("[0-9]{1,3}", size) or not 1 <= int(size) <= LARGEST_SIZE:
        raise ApiError(f"page_size must be an integer from 1 to {LARGEST_SIZE}, got {size[:60]!r}", "page_size")
    return int(size)


def refuse_unknown(query: QueryParams, names: tuple[str, ...]) -> None:
    """ApiError for a parameter that is none of these."""
    for name in query:
        if name not in names:
            raise ApiError(f"unknown parameter {name[:60]!r}, allowed: {', '.join(sorted(names))}", name[:60])


def add_place(conditions: Conditions, place: Place | None, time: str, identity: str, *, newest_first: bool) -> None:
    """Ask for what comes after a place; `time` and `identity` are the columns of the order."""
    if place is None:
        return
    sign = "<" if newest_first else ">"
    at = "fromUnixTimestamp64Milli({place_at:Int64}, 'UTC')"
    # The first condition follows from the second, and is what parts and granules are chosen by.
    conditions.add(f"{time} {sign}= {at}", place_at=place.at_ms)
    conditions.add(f"({time}, {identity}) {sign} ({at}, {{place_id:UUID}})", place_id=str(place.id))


def openapi_page_parameters() -> list[dict[str, Any]]:
    """Cursor and page size as parameters of an OpenAPI operation."""
    size = parameter("page_size", f"Most items of a page; {DEFAULT_SIZE} where it is missing.", DEFAULT_SIZE)
    size["schema"] |= {"minimum": 1, "maximum": LARGEST_SIZE, "default": DEFAULT_SIZE}
    cursor = parameter("cursor", "`next_cursor` of the page before; the same filters go with it.", "f…")
    del cursor["example"]
    return [cursor, size]
