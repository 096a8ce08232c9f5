"""One page of a list of the API, as the pages that list something show it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dashboard.api_client import Parameters
from dashboard.page_query import PageQuery
from dashboard.pages import Viewer
from runtime.http_errors import ApiError

PAGE_SIZE = 50


@dataclass(frozen=True)
class ListPage:
    """The rows, where the next page begins, and which filter is wrong, if one is."""

    data: list[dict[str, Any]] = field(default_factory=list)
    next_cursor: str | None = None
    problem: ApiError | None = None

    @property
    def status(self) -> int:
        """The HTTP status of a page that shows this list."""
        return self.problem.status if self.problem else 200


async def list_page(viewer: Viewer, path: str, query: PageQuery, *others: str) -> ListPage:
    """The page that a query asks for; `others` are its parameters besides filters. Raises ApiError beyond a 400."""
    asked = [*query.for_api(datetime.now(UTC), "cursor", *others), ("page_size", str(PAGE_SIZE))]
    try:
        found = await viewer.api.get(path, asked)
    except ApiError as error:
        if error.status != 400:
            raise
        return ListPage(problem=error)
    return ListPage(found["data"], found["next_cursor"])


async def get_or_none(viewer: Viewer, path: str, asked: Parameters) -> Any:
    """What the API answers; None where this viewer is not told it."""
    try:
        return await viewer.api.get(path, asked)
    except ApiError as error:
        if error.status not in (400, 403, 404):
            raise
        return None
