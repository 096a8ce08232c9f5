"""What became of a feedback, in one of four words: queued, stored, deleted, dead.

Pure. A feedback is `stored` or `deleted` once the workers have written its row, `queued` while an event of it is
accepted and nothing is written, and `dead` when its create event ended in the dead letters. Later events that ended
there are listed as refused beside whatever stands.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from query_api.reading.stored_feedback import Stored


class Refused(BaseModel):
    """An event of this feedback that was accepted and could not be carried out; it is in the dead letters."""

    event: str = Field(description="`create`, `update` or `delete`.", examples=["update"])
    reason: str = Field(examples=["deleted_feedback"])
    detail: str = Field(examples=["The feedback was deleted before this update."])
    recorded_at: datetime


class CurrentFeedback(BaseModel):
    """A feedback as it stands, with what its trace's requests add."""

    model_config = ConfigDict(populate_by_name=True)

    trace_id: str = Field(examples=["request-4711"])
    value: int = Field(examples=[5])
    weight: float = Field(examples=[0.5])
    metadata: dict[str, Any]
    join_state: Literal["pending", "joined", "orphaned"]
    models: list[str]
    providers: list[str]
    user: str | None = Field(alias="_user")
    organisation: str | None = Field(alias="_organisation")
    prompt: str | None = Field(alias="_prompt")
    environment: str | None = Field(alias="_environment")
    created_at: datetime
    updated_at: datetime = Field(description="When the latest event that is stored was accepted.")


class Receipt(BaseModel):
    """What became of a feedback. A change that was accepted a moment ago may not show in `feedback` yet."""

    id: str
    status: Literal["queued", "stored", "deleted", "dead"]
    reason: str | None = Field(None, description="Why it is dead.", examples=["id_reused"])
    detail: str | None = Field(None, description="The same as a sentence.")
    feedback: CurrentFeedback | None = Field(None, description="Only when it is stored.")
    refused: list[Refused] = Field(description="Later events that could not be carried out, in order.")


def receipt(feedback_id: str, found: Stored) -> Receipt | None:
    """The receipt, if anything is stored of the feedback; None where only Kafka can tell."""
    refused = [Refused(**letter) for letter in found.dead]
    if found.row is not None:
        if found.row["is_deleted"]:
            return Receipt(id=feedback_id, status="deleted", refused=refused)
        return Receipt(id=feedback_id, status="stored", feedback=current_of(found.row), refused=refused)
    if found.create is not None:
        return queued(feedback_id, refused)
    create = next((letter for letter in refused if letter.event == "create"), None) or next(iter(refused), None)
    if create is None:
        return None
    others = [letter for letter in refused if letter is not create]
    return Receipt(id=feedback_id, status="dead", reason=create.reason, detail=create.detail, refused=others)


def queued(feedback_id: str, refused: Iterable[Refused] = ()) -> Receipt:
    """The receipt of what is accepted and not stored yet."""
    return Receipt(id=feedback_id, status="queued", refused=list(refused))


def current_of(row: dict[str, Any]) -> CurrentFeedback:
    """A feedback as a row of `feedback_rows` has it, its `join_state` as `orphans` names it."""
    specials = {name: row[name] or None for name in ("_user", "_organisation", "_prompt", "_environment")}
    return CurrentFeedback(**{**row, **specials, "metadata": msgspec.json.decode(row["metadata"])})
