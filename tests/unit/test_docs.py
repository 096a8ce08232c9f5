"""The documents say what the code does."""

import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from ingest_api.settings import Settings as EdgeSettings
from operations.retention import DEFAULT_ORPHAN_AFTER_HOURS, ORPHAN_SETTING, SETTINGS, TRACES_SETTING
from query_api.settings import QuerySettings
from runtime.http_errors import error_code
from schemas.topics import TOPICS
from stream_workers.settings import RollupSettings, WorkerSettings

REPOSITORY = Path(__file__).parents[2]
OPERATIONS = (REPOSITORY / "docs" / "operations.md").read_text()


PROGRAMS = (EdgeSettings, QuerySettings, WorkerSettings, RollupSettings)
RETENTION = {each.name: each.default_days or 0 for each in SETTINGS} | {ORPHAN_SETTING: DEFAULT_ORPHAN_AFTER_HOURS}


def shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return ",".join(default) if isinstance(default, tuple) else str(default)


@pytest.mark.parametrize("settings", PROGRAMS)
def test_every_setting_is_documented_with_its_default(settings: type[BaseSettings]) -> None:
    for name, field in settings.model_fields.items():
        assert f"| `FEEDBACK_{name.upper()}` | `{shown(field.default)}` |" in OPERATIONS


@pytest.mark.parametrize("setting", RETENTION)
def test_every_retention_setting_is_documented_with_its_default(setting: str) -> None:
    program = "expire" if setting == TRACES_SETTING else "migrate"
    assert f"| `{setting}` | `{RETENTION[setting]}` | {program} |" in OPERATIONS


def test_no_setting_is_documented_that_does_not_exist() -> None:
    known = {f"FEEDBACK_{name.upper()}" for each in PROGRAMS for name in each.model_fields}
    assert set(re.findall(r"^\| `(FEEDBACK_\w+)`", OPERATIONS, re.MULTILINE)) == known | RETENTION.keys()


def test_the_readme_names_every_topic() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    assert [topic.name for topic in TOPICS if topic.name not in readme] == []


def test_links_between_documents_lead_somewhere() -> None:
    for document in [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_pictures_are_there_in_light_and_dark_and_are_small() -> None:
    for document in [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]:
        text = document.read_text()
        light, dark = (
            [document.parent / name for name in re.findall(rf'{attribute}="([^"]+\.png)"', text)]
            for attribute in (" src", "srcset")
        )
        assert [each.with_stem(f"{each.stem}-dark") for each in light] == dark
        assert [each for each in light + dark if each.stat().st_size > 200_000] == []


def test_the_table_of_errors_has_the_code_of_every_status() -> None:
    rows = re.findall(r"^\| (\d{3}) \| (AB\d\d) \|", (REPOSITORY / "docs/api.md").read_text(), re.MULTILINE)
    assert rows == [(status, error_code(int(status))) for status, _ in rows]
    assert {status for status, _ in rows} >= {"400", "401", "403", "404", "409", "413", "429", "500", "503"}
