"""Runs the examples of the README and of docs/*.md that `<!-- test -->` marks before their fence, page by page.

They run as a reader would run them, but for the ports: those of `make up` become those of this pipeline.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from runtime.clickhouse_address import ADDRESS_PATH
from tests.contract.conftest import RowOf
from tests.pipeline.engines import REPOSITORY, until
from tests.pipeline.running import Pipeline

MARK = "<!-- test -->"
MARKED = re.compile(rf"^{MARK}\n```(sh|py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GIVES_FEEDBACK = re.compile(r"/v1/feedback/?[\"'\s]|\.feedback\.(bulk_)?create\(|client\.feedback\(")
INTERPRETERS = {"sh": ["bash", "-e"], "py": [sys.executable]}


@dataclass(frozen=True)
class Example:
    """One fenced block."""

    line: int
    language: str
    code: str

    @property
    def gives_feedback(self) -> bool:
        return bool(GIVES_FEEDBACK.search(self.code))

    @property
    def shows_something(self) -> bool:
        return any(each in self.code for each in ("curl", "feedback sql", "print("))


def examples(text: str) -> list[Example]:
    """The marked examples of a text. Every mark must stand right before a sh or py fence, and there must be one."""
    found = [Example(text[: each.start(2)].count("\n") + 1, each[1], each[2]) for each in MARKED.finditer(text)]
    if not found:
        raise ValueError(f"no example is marked with {MARK}")
    if text.count(MARK) != len(found):
        raise ValueError(f"{text.count(MARK)} marks, but only {len(found)} stand right before a sh or py fence")
    return found


README = (REPOSITORY / "README.md").read_text()
PAGES = {
    page.name: page.read_text() for page in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))
}
MARKED_PAGES = {
    name: text for name, text in {"README.md": README, **PAGES}.items() if re.search(rf"^{MARK}$", text, re.MULTILINE)
}
EXAMPLES = [(name, each) for name, text in MARKED_PAGES.items() for each in examples(text)]


def test_the_readme_marks_examples_in_shell_and_python_that_give_feedback() -> None:
    assert {each.language for each in examples(README) if each.gives_feedback} == {"sh", "py"}


def test_the_pages_from_which_a_reader_pastes_mark_their_examples() -> None:
    assert {"README.md", "exports.md", "migrating.md", "topics.md"} <= MARKED_PAGES.keys()


def test_marked_examples_are_found_with_their_lines_and_others_are_not() -> None:
    text = f"# T\n\n{MARK}\n```sh\ncurl a\n\ncurl b\n```\n\n```sh\nmake up\n```\n{MARK}\n```py\nx = 1\n```\n"
    assert examples(text) == [Example(5, "sh", "curl a\n\ncurl b\n"), Example(15, "py", "x = 1\n")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no example is marked"),
        ("```sh\ncurl a\n```\n", "no example is marked"),
        (f"{MARK}\n```js\na\n```\n", "no example is marked"),
        (f"{MARK}\n\n```sh\na\n```\n{MARK}\n```sh\nb\n```\n", "2 marks, but only 1 stand"),
    ],
)
def test_a_text_whose_marks_mark_nothing_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        examples(text)


@pytest.mark.parametrize("example", [pytest.param(each, id=f"{name} line {each.line}") for name, each in EXAMPLES])
def test_an_example_of_the_documents_works(
    pipeline: Pipeline, stored: RowOf, logged: RowOf, example: Example, tmp_path: Path
) -> None:
    until(lambda: pipeline.accounted() == pipeline.accepted(), "what came before is stored")
    before = pipeline.count("SELECT count() FROM feedback.feedback")
    script = tmp_path / f"example.{example.language}"
    script.write_text(pointed_at(pipeline, example.code))
    kept = tmp_path / ADDRESS_PATH
    kept.parent.mkdir(parents=True)
    kept.write_text(f"{pipeline.engines.clickhouse}\n")
    environment = {name: value for name, value in os.environ.items() if name != "FEEDBACK_CLICKHOUSE_URL"}
    run = subprocess.run(
        [*INTERPRETERS[example.language], script.name],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() or not example.shows_something, "it shows nothing"
    answers = [each for each in objects_in(run.stdout) if "status" in each]
    assert all(answer["status"] == "success" for answer in answers), run.stdout
    for answer in answers:
        for request_id in answer.get("ids", []):
            logged(request_id)
    if example.gives_feedback:
        feedback = [each for answer in answers for each in answer.get("feedback_ids", [])]
        assert feedback or example.language != "sh", f"no feedback_ids in what it prints: {run.stdout}"
        for feedback_id in feedback:
            stored(feedback_id)
        until(lambda: pipeline.count("SELECT count() FROM feedback.feedback") > before, "its feedback is stored")


def pointed_at(pipeline: Pipeline, code: str) -> str:
    """The code with this pipeline's ports in place of the default ones, and the command of this environment."""
    ports = {
        "8787": str(pipeline.port),
        "8123": str(urlsplit(pipeline.engines.clickhouse).port),
        "9092": pipeline.engines.kafka.rpartition(":")[2],
    }
    code = re.sub(rf"\b({'|'.join(ports)})\b", lambda found: ports[found[0]], code)
    return code.replace(".venv/bin/feedback ", f"{sys.executable} -m deploy.cli ")


def objects_in(text: str) -> list[dict[str, Any]]:
    """The JSON objects that a text holds among other things."""
    found, at = [], text.find("{")
    while at >= 0:
        try:
            value, end = json.JSONDecoder().raw_decode(text, at)
        except ValueError:
            end = at + 1
        else:
            found.append(value)
        at = text.find("{", end)
    return found
