"""`/v1/admin/dead-letters`: lists and redrives dead letters.

A letter belongs to the workspace that its bytes name: JSON with one `workspace`, which its key does not contradict. A
letter whose bytes name none is shown only while the server is open; `feedback dead` shows all.
"""

import argparse
import base64
import re
from collections.abc import Collection
from datetime import UTC
from typing import Literal

from clickhouse_connect.driver.client import Client
from fastapi import APIRouter, Request
from starlette.datastructures import QueryParams

from operations.admin_api.dead_letter_models import (
    PLACE_EXAMPLE,
    SHOWN_BYTES,
    DeadLetterPage,
    DeadReason,
    LeftLetter,
    ListedDeadLetter,
    Redriven,
    RedriveOrder,
)
from operations.admin_api.run_command import AWAY, BODY_REFUSED, Commands, body_of, read_body
from operations.command_options import place as place_of
from operations.dead_letters.letters import WHAT_TO_DO, Filter, Letter, Position, letters, reasons, redrive
from operations.dead_letters.selection import select
from query_api.auth import REFUSALS, AdminCaller, Caller
from query_api.errors import example
from query_api.filters.cursors import openapi_page_parameters, page_size_in, refuse_unknown
from query_api.filters.parameters import parameter
from query_api.json_body import json_body
from runtime.http_errors import ApiError
from schemas.topics import INPUTS

_MOST_BYTES = 50_000_000
_CURSOR = re.compile(r"d([0-9]{1,15})-([0-9])-([0-9]{1,5})-([0-9]{1,20})")
Place = tuple[str, int, int]
"""The name of a letter: topic, partition and sequence."""


def create_router(commands: Commands) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["admin"], responses=REFUSALS | AWAY)
    reason = parameter("reason", "Only letters with this reason.", "unknown_feedback")

    @router.get(
        "/v1/admin/dead-letters",
        summary="List dead letters",
        description="Of the caller's workspace, newest first; while the server is open also those whose bytes name no"
        " workspace.",
        openapi_extra={"parameters": [reason, *openapi_page_parameters()]},
        responses={
            400: {
                "description": "A parameter is not valid.",
                **example(400, "cursor must be one that this list has answered with", "cursor"),
            }
        },
    )
    async def list_dead_letters(request: Request, caller: AdminCaller) -> DeadLetterPage:
        query = request.query_params
        refuse_unknown(query, ("reason", "cursor", "page_size"))
        size = page_size_in(query)
        wanted = Filter(reason=query.get("reason", ""), workspaces=_visible_to(caller), after=_position_in(query))

        def read(client: Client) -> DeadLetterPage:
            return _page(
                letters(client, wanted, size + 1, SHOWN_BYTES),
                size,
                _reasons(client, Filter(workspaces=wanted.workspaces)),
            )

        return await commands.run("dead letters cannot be listed", read)

    @router.post(
        "/v1/admin/dead-letters/redrive",
        summary="Send dead letters through again",
        description="What `feedback dead redrive` does, with letters of the caller's workspace.",
        openapi_extra=body_of(
            RedriveOrder, one={"places": [PLACE_EXAMPLE]}, insisting={"places": [PLACE_EXAMPLE], "again": True}
        ),
        responses=BODY_REFUSED,
    )
    async def redrive_dead_letters(request: Request, caller: AdminCaller) -> Redriven:
        order = read_body(RedriveOrder, await json_body(request))
        places = {_place(text, number): None for number, text in enumerate(order.places)}
        workspaces = _visible_to(caller)
        return await commands.run(
            "it is not known which letters were sent: ask for the list",
            lambda client: _redrive(client, commands, order, places, workspaces),
        )

    return router


def _visible_to(caller: Caller) -> tuple[str, ...]:
    """The workspaces whose letters a caller may see."""
    return (caller.workspace,) if caller.key_id else (caller.workspace, "")


def _redrive(
    client: Client, commands: Commands, order: RedriveOrder, places: Collection[Place], workspaces: tuple[str, ...]
) -> Redriven:
    filters = [Filter(place=place, workspaces=workspaces) for place in places]
    if sum(letter.value_bytes for each in filters for letter in letters(client, each, 1, 1)) > _MOST_BYTES:
        raise ApiError(f"the letters have more than {_MOST_BYTES} bytes together: send fewer at once", "places")
    found = [letter for each in filters for letter in letters(client, each, 1)]
    chosen, left = select(client, commands.workers, found, again=order.again, force=order.force)
    redrive(client, commands.workers.bootstrap, chosen)
    known = {(each.topic, each.partition, each.sequence) for each in found}
    not_sent = [
        LeftLetter(place=each.letter.place, why=each.why, feedback_id=each.feedback_id or None) for each in left
    ]
    not_sent += [LeftLetter(place="/".join(map(str, each)), why="unknown") for each in places if each not in known]
    return Redriven(sent=[each.place for each in chosen], left=not_sent)


def _page(found: list[Letter], size: int, summary: list[DeadReason]) -> DeadLetterPage:
    shown = found[:size]
    more = _cursor_of(shown[-1].position) if len(found) > size else None
    return DeadLetterPage(data=[_listed(each) for each in shown], reasons=summary, next_cursor=more)


def _reasons(client: Client, wanted: Filter) -> list[DeadReason]:
    return [
        DeadReason(
            reason=reason,
            topic=topic,
            count=count,
            first_at=first.replace(tzinfo=UTC),
            last_at=last.replace(tzinfo=UTC),
        )
        for reason, topic, count, first, last, _ in reasons(client, wanted)
    ]


def _listed(letter: Letter) -> ListedDeadLetter:
    encoding, value = _as_text(letter.value, is_cut=letter.value_bytes > len(letter.value))
    return ListedDeadLetter(
        place=letter.place,
        topic=letter.topic,
        partition=letter.partition,
        sequence=letter.sequence,
        offset=letter.offset,
        recorded_at=letter.recorded_at.replace(tzinfo=UTC),
        reason=letter.reason,
        detail=letter.detail,
        what_to_do=WHAT_TO_DO.get(letter.reason, "Mend the cause, then redrive it."),
        feedback_id=letter.feedback_id or None,
        redriven=letter.redriven,
        key=letter.key.decode(errors="backslashreplace"),
        value=value,
        value_encoding=encoding,
        value_bytes=letter.value_bytes,
        is_cut=letter.value_bytes > len(letter.value),
    )


def _as_text(value: bytes, *, is_cut: bool) -> tuple[Literal["utf-8", "base64"], str]:
    # The cut may split a character, which has four bytes at most.
    for end in range(len(value), len(value) - 4 if is_cut else len(value) - 1, -1):
        try:
            return "utf-8", value[:end].decode()
        except UnicodeDecodeError:
            continue
    return "base64", base64.b64encode(value).decode()


def _place(text: str, number: int) -> Place:
    try:
        return place_of(text)
    except argparse.ArgumentTypeError as error:
        name = f"places[{number}]"
        raise ApiError(f"{name}: {str(error)[:200]}", name) from None


def _cursor_of(position: Position) -> str:
    return f"d{position.at_ms}-{INPUTS.index(position.topic)}-{position.partition}-{position.sequence}"


def _position_in(query: QueryParams) -> Position | None:
    cursor = query.get("cursor")
    if cursor is None:
        return None
    if found := _CURSOR.fullmatch(cursor):
        at_ms, topic, partition, sequence = map(int, found.groups())
        if topic < len(INPUTS) and partition < 2**16 and sequence < 2**64:
            return Position(at_ms, INPUTS[topic], partition, sequence)
    raise ApiError(
        f"cursor must be one that this list has answered with, got {cursor[:60]!r}: leave it out to start anew",
        "cursor",
    )
