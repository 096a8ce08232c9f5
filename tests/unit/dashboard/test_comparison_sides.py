"""What the API is asked for both sides of a comparison."""

import json
from datetime import UTC, datetime

import pytest

from dashboard.comparison_sides import against, two_values
from dashboard.group_fields import key_of
from dashboard.page_query import PageQuery

_NOW = datetime(2026, 12, 1, tzinfo=UTC)


def asked(text: str, field: str, *values: str) -> dict[str, str]:
    sides = two_values(PageQuery.of_text(text), _NOW, field, values)
    assert sides
    return {name: value for name, value in sides.asked if not name.startswith("time_of_generation")}


def test_two_values_of_a_field_replace_its_filter() -> None:
    assert asked("user=ada&prompt_slug=old", "prompt_slug", "new", "old") == {
        "user": "ada", "prompt_slug": "new", "baseline_prompt_slug": "old"
    }  # fmt: skip


def test_two_values_of_a_key_keep_the_other_keys_on_both_sides() -> None:
    found = asked("meta.region=eu&meta.release=1&other=1", "metadata.release", "2", "1")
    assert json.loads(found.pop("metadata")) == {"region": "eu", "release": "2"}
    assert json.loads(found.pop("baseline_metadata")) == {"region": "eu", "release": "1"}
    assert not found


@pytest.mark.parametrize(
    ("text", "kind", "key"),
    [
        ("", "before", ""), ("against=user", "metadata.user", "user"), ("against=ai_model", "ai_model", ""),
        ("against=release", "metadata.release", "release"), ("against=metadata.a.b", "metadata.a.b", "a.b"),
    ],
)  # fmt: skip
def test_what_is_no_field_is_a_key_of_metadata(text: str, kind: str, key: str) -> None:
    assert against(PageQuery.of_text(text)) == kind
    assert key_of(kind) == key
