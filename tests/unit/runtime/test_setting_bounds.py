"""A number that no program could work with is refused at the start, and a setting means the same to all programs."""

from collections import defaultdict
from collections.abc import Iterator

import pytest
from annotated_types import Ge, Gt
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from operations.admin_api.settings import AdminSettings
from tests.unit.runtime.test_known_settings import CLASSES

ALL: list[type[BaseSettings]] = [*CLASSES, AdminSettings]


def fields() -> Iterator[tuple[type[BaseSettings], str, FieldInfo]]:
    return ((each, name, field) for each in ALL for name, field in each.model_fields.items())


TIMES = [(each, name) for each, name, field in fields() if field.annotation is float]


@pytest.mark.parametrize(("settings", "name"), TIMES, ids=[f"{each.__name__}-{name}" for each, name in TIMES])
@pytest.mark.parametrize("given", ["inf", "nan", "1e300", "-1"])
def test_a_fraction_has_bounds(
    settings: type[BaseSettings], name: str, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"FEEDBACK_{name}".upper(), given)
    with pytest.raises(ValidationError, match=name):
        settings()


def test_a_setting_has_the_same_bounds_in_all_programs() -> None:
    bounds = defaultdict(set)
    for _, name, field in fields():
        bounds[name].add(repr(sorted(map(repr, field.metadata))))
    assert [name for name, different in bounds.items() if len(different) > 1] == []


def test_every_whole_number_has_a_least_value() -> None:
    whole = [(name, field.metadata) for _, name, field in fields() if field.annotation is int]
    assert [name for name, bounds in whole if not any(isinstance(each, Ge | Gt) for each in bounds)] == []
