"""One page of a list of the API."""

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
    """The rows, the cursor of the next page, and the error of a filter, if there is one."""

    data: list[dict[str, Any]] = field(default_factory=list)
    next_cursor: str | None = None
    problem: ApiError | None = None

    @property
    def status(self) -> int:
        """The HTTP status of the page with this list."""
        return self.problem.status if self.problem else 200


async def list_page(viewer: Viewer, path: str, query: PageQuery, *others: str, order: Parameters = ()) -> ListPage:
    """The page of a query; `others` are its parameters besides filters. Raises ApiErrors other than 400."""
    asked = [*query.for_api(datetime.now(UTC), "cursor", *others), *order, ("page_size", str(PAGE_SIZE))]
    try:
        found = await viewer.api.get(path, asked)
    except ApiError as error:
        if error.status != 400:
            raise
        return ListPage(problem=error)
    return ListPage(found["data"], found["next_cursor"])


async def get_or_none(viewer: Viewer, path: str, asked: Parameters) -> Any:
    """The answer of the API; None if the viewer lacks the scope."""
    try:
        return await viewer.api.get(path, asked)
    except ApiError as error:
        if error.status not in (400, 403, 404):
            raise
        return None
