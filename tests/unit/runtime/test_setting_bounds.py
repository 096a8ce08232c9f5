"""A number that no program could work with is refused at the start, and a setting means the same to all programs."""

from collections import defaultdict
from collections.abc import Iterator

import pytest
from annotated_types import Ge, Gt
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from operations.admin_api.settings import AdminSettings
from runtime.settings_errors import SettingsError, load
from stream_workers.settings import RollupSettings, WorkerSettings
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


@pytest.mark.parametrize("settings", [WorkerSettings, RollupSettings])
@pytest.mark.parametrize(
    "given",
    [
        {"FEEDBACK_CONSUMER_GROUP": "shared", "FEEDBACK_ROLLUP_GROUP": "shared"},
        {"FEEDBACK_CONSUMER_GROUP": "feedback-rollups"},
        {"FEEDBACK_ROLLUP_GROUP": "feedback-workers"},
    ],
)
def test_workers_and_rollup_programs_have_a_group_of_their_own(
    settings: type[BaseSettings], given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match="FEEDBACK_ROLLUP_GROUP must be another group than FEEDBACK_CONSUMER_GROUP"):
        load(settings)
