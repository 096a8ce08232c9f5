"""The documents say what the code does."""

import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from deploy import cli
from gateway.settings import GatewaySettings
from ingest_api.settings import Settings as EdgeSettings
from operations.retention import DEFAULT_ORPHAN_AFTER_HOURS, ORPHAN_SETTING, SETTINGS, TRACES_SETTING
from query_api.settings import QuerySettings
from runtime.http_errors import error_code
from schemas.topics import TOPICS
from stream_workers.settings import RollupSettings, WorkerSettings

REPOSITORY = Path(__file__).parents[2]
OPERATIONS = (REPOSITORY / "docs" / "operations.md").read_text()
TOPICS_PAGE = (REPOSITORY / "docs" / "topics.md").read_text()
PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")])


PROGRAMS = (EdgeSettings, QuerySettings, WorkerSettings, RollupSettings, GatewaySettings)
RETENTION = {each.name: each.default_days or 0 for each in SETTINGS} | {ORPHAN_SETTING: DEFAULT_ORPHAN_AFTER_HOURS}


def default_text(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return ",".join(default) if isinstance(default, tuple) else str(default)


@pytest.mark.parametrize("settings", PROGRAMS)
def test_every_setting_is_documented_with_its_default(settings: type[BaseSettings]) -> None:
    for name, field in settings.model_fields.items():
        assert f"| `FEEDBACK_{name.upper()}` | `{default_text(field.default)}` |" in OPERATIONS


@pytest.mark.parametrize("setting", RETENTION)
def test_every_retention_setting_is_documented_with_its_default(setting: str) -> None:
    program = "expire" if setting == TRACES_SETTING else "migrate"
    assert f"| `{setting}` | `{RETENTION[setting]}` | {program} |" in OPERATIONS


def test_no_setting_is_documented_that_does_not_exist() -> None:
    known = {f"FEEDBACK_{name.upper()}" for each in PROGRAMS for name in each.model_fields}
    assert set(re.findall(r"^\| `(FEEDBACK_\w+)`", OPERATIONS, re.MULTILINE)) == known | RETENTION.keys()


def test_the_page_of_topics_says_of_each_how_it_is_keyed_and_how_long_it_is_kept() -> None:
    rows = re.findall(r"^\| `([\w.]+\.v\d)`.* \| `?([^|`]+)`? \| .* \| (.+) \|$", TOPICS_PAGE, re.MULTILINE)
    spelt = {"feedback_id": "feedback id", "key_id": "key id"}
    days = {each.name: f"{(each.retention_ms or 0) // 86_400_000} days" for each in TOPICS}
    assert sorted(rows) == sorted(
        (each.name, spelt.get(each.keyed_by, each.keyed_by), "compacted" if each.compacted else days[each.name])
        for each in TOPICS
    )


def prose(document: Path) -> str:
    """The text of a page without its fenced blocks, in which `#` and `](` mean something else."""
    return re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchor(heading: str) -> str:
    """The anchor of a heading, by the rule that the repository's view and the built site have in common."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)|`", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def anchors(document: Path) -> list[str]:
    return [anchor(each) for each in re.findall(r"^#{1,6} (.+)$", prose(document), re.MULTILINE)]


def links(document: Path) -> list[str]:
    """The targets of a page's links to other pages, files and headings of this repository."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose(document))
    return [each for each in found if not re.match(r"[a-z]+:", each)]


@pytest.mark.parametrize("document", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(document: Path) -> None:
    for target in links(document):
        path, _, fragment = target.partition("#")
        page = (document.parent / path).resolve() if path else document
        assert page.is_file(), f"{document.name} links to {path}, which is not there"
        assert not fragment or fragment in anchors(page), f"{document.name}: {page.name} has no heading #{fragment}"


@pytest.mark.parametrize("document", PAGES, ids=lambda page: page.name)
def test_no_two_headings_of_a_page_have_one_anchor(document: Path) -> None:
    found = [each for each in anchors(document) if document.name != "CHANGELOG.md"]
    assert sorted(set(found)) == sorted(found)


@pytest.mark.parametrize("document", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(document: Path) -> None:
    """A path in backticks that begins with a folder of the repository; what has … or a capital in it is a pattern."""
    folders = {each.name for each in REPOSITORY.iterdir() if each.is_dir() and not each.name.startswith(".")} - {"dist"}
    named = re.findall(r"`((?:[a-z_]+/)+[\w.-]*)`", prose(document) if document.name != "CHANGELOG.md" else "")
    named = [each for each in named if each.partition("/")[0] in folders]
    assert [each for each in named if not (REPOSITORY / each).exists()] == []


def test_the_pages_name_every_command_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    known = set(re.findall(r"^    ([a-z]+)(?: |$)", capsys.readouterr().out, re.MULTILINE))
    text = "\n".join(page.read_text() for page in PAGES if page.name != "CHANGELOG.md")
    named = set(re.findall(r"(?:`|\$ |\.venv/bin/)feedback ([a-z]+)", text))
    assert len(known) > 15
    assert known - named == {"version"}
    assert named - known == set()


def test_the_readme_is_read_in_a_few_minutes() -> None:
    assert len((REPOSITORY / "README.md").read_text().splitlines()) <= 150


def test_the_glossary_has_few_words_each_once_and_in_order() -> None:
    words = re.findall(r"^\| \*\*(.+)\*\* \|", (REPOSITORY / "docs/glossary.md").read_text(), re.MULTILINE)
    assert words == sorted(set(words))
    assert 15 <= len(words) <= 25


def test_every_name_that_contributing_says_is_in_a_file_is_there() -> None:
    named = re.findall(r"`(\w+)`\s+in\s+`([\w/]+\.py)`", (REPOSITORY / "CONTRIBUTING.md").read_text())
    assert len(named) >= 5
    assert [(name, file) for name, file in named if name not in (REPOSITORY / file).read_text()] == []


def test_every_page_that_the_code_names_is_there() -> None:
    rooms = (
        "schemas",
        "runtime",
        "ingest_api",
        "stream_workers",
        "query_api",
        "dashboard",
        "gateway",
        "operations",
        "deploy",
    )
    files = [file for room in (*rooms, "benchmarks") for file in (REPOSITORY / room).rglob("*.*")]
    texts = [file.read_text() for file in files if file.suffix in {".py", ".sql", ".yml", ".html"}]
    named = {name for text in texts for name in re.findall(r"\bdocs/[\w-]+\.md\b", text)}
    assert {"docs/design.md", "docs/sql.md"} <= named
    assert [name for name in named if not (REPOSITORY / name).is_file()] == []


def test_anchors_are_those_that_a_reader_sees() -> None:
    assert anchor("`feedback erase --user U`: remove a person") == "feedback-erase---user-u-remove-a-person"
    assert anchor("What [a page](dashboard.md) may do, übrigens") == "what-a-page-may-do-übrigens"


def test_every_page_is_in_the_navigation_of_the_site_once() -> None:
    navigation = (REPOSITORY / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    listed = re.findall(r": (\S+\.md)$", navigation, re.MULTILINE)
    assert sorted(listed) == sorted("index.md" if page.name == "README.md" else page.name for page in PAGES)


def test_pictures_are_there_in_light_and_dark_and_are_small() -> None:
    for document in PAGES:
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
