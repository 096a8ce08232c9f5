"""`/v1/admin/keys`: makes, lists and revokes the API keys of the caller's workspace, as `feedback keys` does.

The text of a new key is only in the answer to the request that made it. A key that is made while the server is open
closes it, so it must have the scope `admin`: otherwise nobody could make another one over the API.
"""

import argparse
import logging
from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Any, Literal

from clickhouse_connect.driver.client import Client
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field, field_validator

from operations.admin_api.run_command import AWAY, BODY_REFUSED, Commands, body_of, read_body
from operations.api_keys import arguments
from operations.api_keys.changes import UnknownKeyError, all_keys, find, revoke, send
from operations.api_keys.stored_keys import store, stored_keys
from operations.connections import CommandError
from query_api.auth import REFUSALS, AdminCaller, Caller
from query_api.errors import example
from query_api.json_body import json_body
from runtime.api_key_store import ApiKeyStore
from runtime.http_errors import ApiError
from schemas.api_keys import ApiKey, new_key
from schemas.key_scopes import ADMIN, Scope

_NOT_IN_KAFKA = "edges that are not this process do not know of it yet: run `feedback keys sync` when Kafka is back"
_UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"description": "No such key in the workspace.", **example(404, "there is no API key …", "key_id")}
}
KeyId = Annotated[str, Path(description="12 hex digits.", examples=["0123456789ab"])]

log = logging.getLogger(__name__)


class KeyOrder(BaseModel):
    """The key that is wanted. It belongs to the caller's workspace."""

    model_config = ConfigDict(extra="forbid", strict=True)

    scopes: Annotated[list[Scope], Field(min_length=1, description="What it allows; `admin` allows everything.")]
    name: str = Field("", max_length=200, description="For whom or what it is; printable characters.")
    expires: str | None = Field(None, max_length=40, description="30d, 12h, or 2027-01-31T12:00Z; null: never.")
    rate_limit_per_s: int = Field(
        0, ge=0, le=10_000_000, description="Events a second; 0: as the server's setting says."
    )
    read_rate_limit_per_s: int = Field(
        0, ge=0, le=10_000_000, description="Questions a second; 0: as the setting says."
    )

    @field_validator("name")
    @classmethod
    def _printable(cls, name: str) -> str:
        return _checked(arguments.name, name)

    @field_validator("expires")
    @classmethod
    def _in_the_future(cls, expires: str | None) -> str | None:
        if expires is not None:
            _checked(arguments.expiry, expires)
        return expires


class ListedKey(BaseModel):
    """An API key without its text."""

    key_id: str = Field(examples=["0123456789ab"])
    name: str
    workspace: str
    scopes: list[Scope]
    state: Literal["active", "expired", "revoked", "left_behind"] = Field(
        description="`left_behind`: an operator has opened the server and revoked it by that."
    )
    rate_limit_per_s: int = Field(description="Events a second; 0: as the server's setting says.")
    read_rate_limit_per_s: int = Field(description="Questions a second; 0: as the setting says.")
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    is_callers: bool = Field(description="Whether the call was made with this key.")
    warning: str | None = Field(description="What is not as it should be, such as a place that does not have it.")


class CreatedKey(ListedKey):
    """A new key with its text, which is shown this once and stored nowhere."""

    key: str = Field(description="The key.", examples=["fbk_0123456789ab_…"])
    closed_the_server: bool = Field(description="Whether every call needs a key from now on, and needed none before.")


class KeyList(BaseModel):
    """All keys of the caller's workspace, the newest first."""

    object: Literal["list"] = "list"
    data: list[ListedKey]


def create_router(commands: Commands, known: ApiKeyStore) -> APIRouter:
    """The routes. `known` is the store of this process, which gets each change at once."""
    router = APIRouter(tags=["admin"], responses=REFUSALS | AWAY)

    @router.get("/v1/admin/keys", summary="List API keys", description="Of the caller's workspace, without their text.")
    async def list_keys(caller: AdminCaller) -> KeyList:
        keys, warnings = await commands.run("keys cannot be listed", lambda client: _all(client, commands))
        own = [each for each in reversed(keys) if each.workspace == caller.workspace]
        return KeyList(data=[ListedKey(**_fields_of(each, caller, warnings.get(each.key_id))) for each in own])

    @router.post(
        "/v1/admin/keys",
        summary="Make an API key",
        description="In the caller's workspace. Its text is shown this once. The first key closes an open server, so it"
        " must have the scope `admin`.",
        openapi_extra=body_of(
            KeyOrder,
            admin={"scopes": ["admin"], "name": "operator"},
            app={"scopes": ["feedback.write", "logs.write"], "name": "web app", "expires": "90d"},
        ),
        responses=BODY_REFUSED,
    )
    async def create_key(request: Request, caller: AdminCaller) -> CreatedKey:
        order, was_open = read_body(KeyOrder, await json_body(request)), not caller.key_id
        if was_open and ADMIN not in order.scopes:
            raise ApiError(
                "scopes must hold admin: this key closes the server, and without it nobody could make another", "scopes"
            )
        secret, key = new_key(
            caller.workspace,
            order.scopes,
            arguments.now(),
            order.name,
            arguments.expiry(order.expires) if order.expires else None,
            order.rate_limit_per_s,
            order.read_rate_limit_per_s,
        )
        warning = await commands.run("the key was not made", lambda client: _store(client, commands, key))
        known.upsert(key)
        log.warning(
            "API key %s of the workspace %s was made by %s", key.key_id, key.workspace, caller.key_id or "anybody"
        )
        fields = _fields_of(key, caller, warning)
        return CreatedKey(**fields, key=secret, closed_the_server=was_open)

    @router.delete(
        "/v1/admin/keys/{key_id}",
        summary="Revoke an API key",
        description="For good. A key of another workspace is not there for the caller.",
        responses=_UNKNOWN,
    )
    async def revoke_key(key_id: KeyId, caller: AdminCaller) -> ListedKey:
        key, warning = await commands.run(
            "the key was not revoked", lambda client: _revoke(client, commands, key_id, caller.workspace)
        )
        known.upsert(key)
        log.warning("API key %s of the workspace %s was revoked by %s", key.key_id, key.workspace, caller.key_id)
        return ListedKey(**_fields_of(key, caller, warning))

    return router


def _all(client: Client, commands: Commands) -> tuple[list[ApiKey], dict[str, str]]:
    """All keys, and warnings by key id about those that one place lacks."""
    try:
        found = all_keys(client, commands.workers.bootstrap)
    except CommandError:
        keys = stored_keys(client)
        return keys, dict.fromkeys((key.key_id for key in keys), "Kafka does not answer: edges may not know this key")
    lacking = {key.key_id: "Kafka lacks what ClickHouse has of it" for key in found.lacking_in_kafka}
    lacking |= {key.key_id: "ClickHouse lacks what Kafka has of it" for key in found.lacking_in_clickhouse}
    return found.keys, {key_id: f"{why}: run `feedback keys sync`" for key_id, why in lacking.items()}


def _store(client: Client, commands: Commands, key: ApiKey) -> str | None:
    store(client, key)
    return _sent(commands, key)


def _revoke(client: Client, commands: Commands, key_id: str, workspace: str) -> tuple[ApiKey, str | None]:
    try:
        key = revoke(client, find(client, commands.workers.bootstrap, key_id, workspace))
    except UnknownKeyError:
        raise ApiError(f"there is no API key {key_id[:60]!r} in this workspace", "key_id", 404) from None
    return key, _sent(commands, key)


def _sent(commands: Commands, key: ApiKey) -> str | None:
    """None where Kafka has the key, else a warning. The key is valid all the same, because ClickHouse has it."""
    try:
        send(commands.workers.bootstrap, [key])
    except CommandError as error:
        log.warning("API key %s is not in Kafka: %s", key.key_id, error)
        return _NOT_IN_KAFKA
    return None


def _fields_of(key: ApiKey, caller: Caller, warning: str | None) -> dict[str, Any]:
    names: Collection[str] = ListedKey.model_fields
    record = {name: value for name, value in key.model_dump().items() if name in names}
    return record | {"state": _state(key), "is_callers": key.key_id == caller.key_id, "warning": warning}


def _state(key: ApiKey) -> str:
    if key.reopened_at:
        return "left_behind"
    if key.revoked_at:
        return "revoked"
    return "expired" if key.expires_at and key.expires_at <= arguments.now() else "active"


def _checked(check: Any, text: str) -> str:
    try:
        check(text)
    except argparse.ArgumentTypeError as error:
        raise ValueError(str(error)) from None
    return text
