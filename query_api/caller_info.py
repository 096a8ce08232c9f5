"""`GET /v1/caller`: which workspace a key opens, and what it allows there."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from query_api.auth import REFUSALS, AnyCaller
from query_api.clickhouse import Engines
from query_api.settings import QuerySettings
from schemas.key_scopes import Scope


class CallerInfo(BaseModel):
    """Who calls."""

    object: Literal["caller"] = "caller"
    workspace: str = Field(description="All that the caller sees and says is in this workspace.", examples=["default"])
    key_id: str | None = Field(
        description="The API key that came with the call; null while the server is open.", examples=["0123456789ab"]
    )
    scopes: list[Scope] = Field(description="What the caller may do.", examples=[["feedback.read", "logs.read"]])


def create_router(_: QuerySettings, __: Engines) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["reading"], responses=REFUSALS)

    @router.get("/v1/caller", summary="Who calls", description="Any valid key may ask.")
    async def get_caller(caller: AnyCaller) -> CallerInfo:
        return CallerInfo(workspace=caller.workspace, key_id=caller.key_id or None, scopes=sorted(caller.scopes))

    return router
