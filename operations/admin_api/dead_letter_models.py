"""Requests and responses of `/v1/admin/dead-letters`."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

SHOWN_BYTES = 16_384
"""The most bytes of a value that are shown."""
MOST_REDRIVEN = 100
PLACE_EXAMPLE = "feedback.events.v1/3/17"


class ListedDeadLetter(BaseModel):
    """A record that could not become a row."""

    place: str = Field(description="Its name: topic/partition/sequence.", examples=[PLACE_EXAMPLE])
    topic: str
    partition: int
    sequence: int
    offset: int
    recorded_at: datetime
    reason: str = Field(examples=["unknown_feedback"])
    detail: str
    what_to_do: str
    feedback_id: str | None
    redriven: bool = Field(description="Whether it was sent through again before.")
    key: str = Field(description="The record's key as text; bytes that are none are written as \\xNN.")
    value: str = Field(description=f"The first {SHOWN_BYTES} bytes of the record.")
    value_encoding: Literal["utf-8", "base64"] = Field(description="How `value` tells the bytes.")
    value_bytes: int = Field(description="How many bytes the record has.")
    is_cut: bool = Field(description="Whether it has more bytes than are shown.")


class DeadReason(BaseModel):
    """How many letters have one reason."""

    reason: str
    topic: str
    count: int
    first_at: datetime
    last_at: datetime


class DeadLetterPage(BaseModel):
    """One page, the newest first. Where `next_cursor` is null there is no more."""

    object: Literal["list"] = "list"
    data: list[ListedDeadLetter]
    reasons: list[DeadReason] = Field(description="Of all letters that the caller may see, whatever is asked for.")
    next_cursor: str | None = Field(examples=["d1780000000000-0-3-17"])


class RedriveOrder(BaseModel):
    """Which letters are to be sent through again."""

    model_config = ConfigDict(extra="forbid", strict=True)

    places: Annotated[list[str], Field(min_length=1, max_length=MOST_REDRIVEN, examples=[[PLACE_EXAMPLE]])]
    again: bool = Field(False, description="Also those that were sent through before.")
    force: bool = Field(False, description="Also changes of feedback that has changed since, which this undoes.")


class LeftLetter(BaseModel):
    """A letter that was not sent."""

    place: str = Field(examples=[PLACE_EXAMPLE])
    why: Literal["unknown", "no_value", "sent_before", "changed_since"]
    feedback_id: str | None = Field(None, description="The feedback that has changed since.")


class Redriven(BaseModel):
    """What became of the order."""

    object: Literal["redrive"] = "redrive"
    sent: list[str] = Field(description="Places of letters that were sent; what is still wrong becomes a new letter.")
    left: list[LeftLetter]
