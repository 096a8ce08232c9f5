"""The documents say what the code does."""

import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from ingest_api.settings import Settings as EdgeSettings
from schemas.topics import TOPICS
from stream_workers.settings import WorkerSettings

REPOSITORY = Path(__file__).parents[2]
OPERATIONS = (REPOSITORY / "docs" / "operations.md").read_text()


def shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return ",".join(default) if isinstance(default, tuple) else str(default)


@pytest.mark.parametrize("settings", [EdgeSettings, WorkerSettings])
def test_every_setting_is_documented_with_its_default(settings: type[BaseSettings]) -> None:
    for name, field in settings.model_fields.items():
        assert f"| `FEEDBACK_{name.upper()}` | `{shown(field.default)}` |" in OPERATIONS


def test_no_setting_is_documented_that_does_not_exist() -> None:
    known = {f"FEEDBACK_{name.upper()}" for each in (EdgeSettings, WorkerSettings) for name in each.model_fields}
    assert set(re.findall(r"^\| `(FEEDBACK_\w+)`", OPERATIONS, re.MULTILINE)) == known


def test_the_readme_names_every_topic() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    assert [topic.name for topic in TOPICS if topic.name not in readme] == []


def test_links_between_documents_lead_somewhere() -> None:
    for document in [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
