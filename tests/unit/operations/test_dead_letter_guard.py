"""What a dead letter would change is read from its event, however it was written and whatever words stand in it."""

import json
from datetime import UTC, datetime

import pytest

from operations.dead_letters.guard import changed_feedback_id, outdated_letters
from operations.dead_letters.letters import Letter
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS

ID = "019af000-0000-8000-8000-00001a2b3c4d"
OTHER = "019af000-0000-8000-8000-00001a2b3c4e"
AT = "2026-01-31T12:00:00Z"
UPDATE = {"event": "update", "workspace": "default", "feedback_id": ID, "value": 3, "updated_at": AT}
DELETE = {"event": "delete", "workspace": "default", "feedback_id": ID, "deleted_at": AT}
CREATE = {
    "event": "create", "workspace": "default", "feedback_id": ID, "trace_id": "t", "value": 1, "weight": 1,
    "metadata": {}, "created_at": AT,
}  # fmt: skip
FORGET = {"event": "forget", "workspace": "default", "feedback_id": ID, "forgotten_at": AT}
NAMES_CREATE = {"event": "create", "note": '"create"', "create": ["create"]}


def letter(value: bytes | str | dict[str, object], topic: str = FEEDBACK_EVENTS, sequence: int = 5) -> Letter:
    text = json.dumps(value) if isinstance(value, dict) else value
    raw = text.encode() if isinstance(text, str) else text
    try:
        named = json.loads(raw).get("feedback_id", "")
    except (ValueError, AttributeError):
        named = ""
    return Letter(
        topic, 0, sequence, sequence, datetime.now(UTC), "r", "d", b"k", raw, len(raw), str(named), redriven=False
    )


@pytest.mark.parametrize(
    "value",
    [
        UPDATE,
        DELETE,
        UPDATE | {"metadata": NAMES_CREATE},
        UPDATE | {"metadata": {"a": [{"event": "create"}]}, "create": "create"},
        {"metadata": NAMES_CREATE, **dict(reversed(UPDATE.items()))},
        json.dumps(UPDATE | {"metadata": NAMES_CREATE}, indent=2),
        json.dumps(UPDATE).replace('"update"', '"\\u0075pdate"'),
        json.dumps(UPDATE).replace('{"event"', '{"event": "create", "event"'),
        json.dumps(DELETE).replace('"event"', '"create": "create", "event"'),
        # What no worker of today reads may be a change to one of tomorrow.
        UPDATE | {"value": "create"},
        UPDATE | {"event": "restore", "metadata": NAMES_CREATE},
        UPDATE | {"updated_at": "create"},
        {"feedback_id": ID, "create": "create"},
        CREATE | {"weight": 2},
        CREATE | {"replaces": True},
    ],
    ids=repr,
)
def test_what_may_change_its_feedback_is_known_as_that(value: str | dict[str, object]) -> None:
    assert changed_feedback_id(letter(value)) == ID


@pytest.mark.parametrize(
    "value",
    [
        CREATE,
        FORGET,
        json.dumps(CREATE, indent=1),
        json.dumps(CREATE).replace('"create"', '"\\u0063reate"'),
        CREATE | {"metadata": {"event": "update"}},
        "poison",
        b"\xff",
        "",
        {"feedback_id": "no id"},
        {"feedback_id": ID.upper()},
        [ID],
    ],
    ids=repr,
)
def test_what_changes_nothing_that_is_there_names_no_feedback(value: bytes | str | dict[str, object]) -> None:
    assert changed_feedback_id(letter(value if not isinstance(value, list) else json.dumps(value))) is None


def test_a_request_changes_no_feedback_whatever_it_names() -> None:
    assert changed_feedback_id(letter(UPDATE, REQUEST_LOGS)) is None


@pytest.mark.parametrize(
    ("latest", "is_late"), [({ID: 6}, True), ({ID: 5}, False), ({ID: 4}, False), ({OTHER: 9}, False)]
)
def test_a_change_is_late_exactly_when_an_event_of_its_feedback_came_after_it(
    latest: dict[str, int], is_late: bool
) -> None:
    change = letter(UPDATE | {"metadata": NAMES_CREATE})
    assert outdated_letters([change, letter(CREATE)], latest) == ({change: ID} if is_late else {})
