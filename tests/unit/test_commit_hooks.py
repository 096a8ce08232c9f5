"""Whoever commits runs the checks that `make lint` runs, with the same tools, and fetches nothing for it."""

import re
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[2]
CONFIGURATION = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())
HOOKS = [hook for repository in CONFIGURATION["repos"] for hook in repository["hooks"]]


def test_the_hooks_are_the_checks_of_make_lint_in_their_order() -> None:
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    checks = [line.strip().removesuffix(" .") for line in recipe[1].splitlines()]
    assert [hook["entry"].replace(".venv/bin/python", "$(PY)") for hook in HOOKS] == checks


def test_no_hook_is_fetched() -> None:
    assert {repository["repo"] for repository in CONFIGURATION["repos"]} == {"local"}
    assert {hook["language"] for hook in HOOKS} == {"system"}


def test_types_are_checked_of_everything_and_not_of_the_files_of_one_commit() -> None:
    (types,) = [hook for hook in HOOKS if hook["entry"].endswith("mypy")]
    assert types["pass_filenames"] is False
