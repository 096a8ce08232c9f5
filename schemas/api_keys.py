"""API keys: their text and their stored record, whose scopes `schemas.key_scopes` lists.

A key is `fbk_`, 12 hex digits that are its id, `_`, and 256 random bits as hex. A caller who presents the whole text is
its owner. Only its SHA-256 is stored, which suffices because the secret cannot be guessed. The state of a record only
advances: made, revoked, left behind. `runtime.api_key_authentication` decides who may call with it.
"""

import re
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest
from typing import Annotated, Any, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from schemas.events import Workspace
from schemas.key_scopes import Scope

KEY_ID_PATTERN = r"^[0-9a-f]{12}$"
HASH_PATTERN = r"^[0-9a-f]{64}$"

# Either header may have the key with or without the word. Few spaces are allowed, because verified values are cached.
_PRESENTED = re.compile(rb"(?:(?i:bearer) {1,64})?(fbk_([0-9a-f]{12})_[0-9a-f]{64})")


class ApiKey(BaseModel):
    """The record of a key in ClickHouse and in Kafka: everything except the secret."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    key_id: str = Field(pattern=KEY_ID_PATTERN, description="The part of the key that names it.")
    hash: str = Field(pattern=HASH_PATTERN, description="SHA-256 of the whole key, hex.")
    workspace: Workspace
    scopes: Annotated[list[Scope], Field(min_length=1, description="What it allows; `admin` allows everything.")]
    name: str = Field("", max_length=200, description="Whoever made it, for whom or what.")
    rate_limit_per_s: int = Field(0, ge=0, le=10_000_000, description="Events a second; 0: as the edge's setting says.")
    read_rate_limit_per_s: int = Field(
        0, ge=0, le=10_000_000, description="Questions a second; 0: as the API's setting says."
    )
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = Field(None, description="From when it is refused; null: never.")
    revoked_at: AwareDatetime | None = Field(None, description="Since when it is refused; for good.")
    reopened_at: AwareDatetime | None = Field(
        None, description="When an operator opened the server and left this key behind; null: the key keeps it closed."
    )

    @property
    def stage(self) -> int:
        """0: made, 1: revoked, 2: left behind. Of several records of a key, the one with the highest stage counts."""
        return 2 if self.reopened_at else int(self.revoked_at is not None)

    def revoked(self, at: datetime) -> "ApiKey":
        """The same key, revoked at this time, or earlier if it was revoked before."""
        return self if self.revoked_at else self.model_copy(update={"revoked_at": at})

    def left_behind(self, at: datetime) -> "ApiKey":
        """The same key, revoked, and no longer closing the server."""
        return self if self.reopened_at else self.revoked(at).model_copy(update={"reopened_at": at})

    def fits(self, secret: bytes) -> bool:
        """Whether this is the key with this text. Takes the same time whatever differs."""
        return compare_digest(self.hash.encode(), _hash(secret))


STORED_KEYS = f"SELECT {', '.join(ApiKey.model_fields)} FROM feedback.api_keys FINAL ORDER BY created_at, key_id"
"""The query for all keys in ClickHouse, the oldest first; `key_of_row` reads its rows."""


def key_of_row(row: Mapping[str, Any]) -> ApiKey:
    """The key in a row of `STORED_KEYS`. ValidationError if it is not valid. Times without a zone are in UTC."""
    times = {name: each.replace(tzinfo=UTC) for name, each in row.items() if isinstance(each, datetime)}
    return ApiKey.model_validate({**row, **times})


class Presented(NamedTuple):
    """A key as a caller sent it: its id and its whole text."""

    key_id: str
    secret: bytes


def new_key(
    workspace: str,
    scopes: Iterable[Scope],
    at: datetime,
    name: str = "",
    expires_at: datetime | None = None,
    rate_limit_per_s: int = 0,
    read_rate_limit_per_s: int = 0,
) -> tuple[str, ApiKey]:
    """The text of a new key, which is stored nowhere, and its record. ValidationError for values that are not valid."""
    key_id = secrets.token_hex(6)
    secret = f"fbk_{key_id}_{secrets.token_hex(32)}"
    record = ApiKey(
        key_id=key_id,
        hash=_hash(secret.encode()).decode(),
        workspace=workspace,
        scopes=sorted(set(scopes)),
        name=name,
        rate_limit_per_s=rate_limit_per_s,
        read_rate_limit_per_s=read_rate_limit_per_s,
        created_at=at,
        expires_at=expires_at,
    )
    return secret, record


def presented_key(header: bytes) -> Presented | None:
    """The key in the value of a header; None if it does not have the form of a key."""
    match = _PRESENTED.fullmatch(header)
    return Presented(match[2].decode(), match[1]) if match else None


def _hash(secret: bytes) -> bytes:
    return sha256(secret).hexdigest().encode()
