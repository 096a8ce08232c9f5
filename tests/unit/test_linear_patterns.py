"""Every regular expression of the programs takes steps in proportion to its text, whatever the text.

Nothing is measured: `regex_steps` tells it from the pattern, so no machine makes this test flake and no text need be
thought of. Patterns are found in the source, and one that is put together at run time fails the test, since nobody
could tell of it. What is no regular expression is held by `test_linear_requests`.
"""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.unit.regex_steps import hostile_text

ROOT = Path(__file__).parents[2]
PROGRAMS = ("schemas", "runtime", "ingest_api", "query_api", "stream_workers", "dashboard", "operations", "deploy")
OPERATORS_OWN = {"runtime/known_settings.py": "reads the names of environment variables"}
"""Files whose patterns read nothing that a caller, or anybody but the operator, has written."""
_USES = ("match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer")


class Pattern(NamedTuple):
    """A regular expression of a file, and in which ways it is used there."""

    place: str
    pattern: str | bytes | None
    """None where it is put together at run time."""
    flags: int
    uses: frozenset[str]


def patterns_in(path: Path) -> Iterator[Pattern]:
    source = path.read_text()
    if "re." not in source and "_PATTERN" not in source:
        return
    tree = ast.parse(source)
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")

    def value(node: ast.expr) -> object:
        return eval(compile(ast.Expression(node), str(path), "eval"), vars(importlib.import_module(module)).copy())

    names = {
        id(node.value): target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign | ast.Call):
            continue
        place = f"{path.relative_to(ROOT)}:{node.lineno}"
        if isinstance(node, ast.Assign) and names.get(id(node.value), "").endswith("_PATTERN"):
            # Pydantic's engine is linear in any case, that of msgspec searches with this one.
            yield Pattern(place, str(value(node.value)), 0, frozenset({"search"}))
        if not (isinstance(node, ast.Call) and (function := _function_of_re(node.func))):
            continue
        if function == "compile":
            uses = _uses(tree, node, names.get(id(node)))
            flags = node.args[1] if len(node.args) > 1 else None
        elif function in _USES:
            uses, flags = frozenset({function}), None
        else:
            continue
        flags = next((each.value for each in node.keywords if each.arg == "flags"), flags)
        try:
            pattern: object = value(node.args[0])
        except NameError:
            pattern = None
        assert isinstance(pattern, str | bytes | None)
        yield Pattern(place, pattern, int(value(flags)) if flags else 0, uses)  # type: ignore[call-overload]


def _function_of_re(called: ast.expr) -> str:
    """Its name, if it is one of the module `re`."""
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "re":
        return called.attr
    return ""


def _uses(tree: ast.Module, call: ast.Call, name: str | None) -> frozenset[str]:
    """The methods by which a compiled pattern is used; searching where that cannot be told."""
    loops = [each for node in ast.walk(tree) if isinstance(node, ast.While) for each in ast.walk(node)]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (
            node.value is call or (isinstance(node.value, ast.Name) and node.value.id == name)
        ):
            # Matched again and again from where it ended, it begins at every character.
            found.add("finditer" if node in loops else node.attr)
    return frozenset(found.intersection(_USES)) or frozenset({"search"})


def test_every_pattern_takes_no_more_steps_than_in_proportion_to_its_text() -> None:
    found = [
        pattern
        for program in PROGRAMS
        for path in sorted((ROOT / program).rglob("*.py"))
        if str(path.relative_to(ROOT)) not in OPERATORS_OWN
        for pattern in patterns_in(path)
    ]
    assert len(found) > 30
    assert [wrong for each in found if (wrong := fault_of(each))] == []


def fault_of(found: Pattern) -> str:
    """What is wrong with a pattern; empty if nothing is."""
    if found.pattern is None:
        return f"{found.place}: put together at run time, so it cannot be judged: make it a constant"
    for use in sorted(found.uses):
        text = hostile_text(found.pattern, found.flags, use)
        if text is not None:
            return f"{found.place}: {found.pattern!r} takes the square of the length, or more, of {text!r} × n"
    return ""


@pytest.mark.parametrize(
    ("pattern", "use"),
    [
        (r"\s+$", "search"),
        (r"(\d\d:\d\d\S*) (\d\d)$", "sub"),
        (r"a+b", "findall"),
        (r"\((.*)\)", "search"),
        (r"\s*;?\s*\Z", "match"),
        (r"a*a*b", "fullmatch"),
        (r"(a+)+b", "match"),
        (r"(aa|a)*b", "match"),
        (r"'(?:[^'\\]|\\.|'')*'", "finditer"),
        (r"'(?:[^'\\]++|\\.|'')*+(?:'|\Z)", "finditer"),
        (r"/\*.*?\*/", "finditer"),
    ],
)
def test_a_pattern_that_takes_more_is_known(pattern: str, use: str) -> None:
    text = hostile_text(pattern, re.DOTALL, use)
    assert text is not None


@pytest.mark.parametrize(
    ("pattern", "use"),
    [
        (r"\s+$", "match"),
        (r"\s+", "sub"),
        (r"\s*+;?\s*+\Z", "match"),
        (r'"[^"]*"', "sub"),
        (r"'(?:[^'\\]++|\\.|'')*+(?:'|\\?\Z)", "finditer"),
        (r"/\*.*?(?:\*/|\Z)", "finditer"),
        (r"[0-9]+(\.[0-9]+)?(e[0-9]+)?", "fullmatch"),
        (r"[^?#]*[?#]?.*", "fullmatch"),
    ],
)
def test_a_pattern_that_does_not_is_let_pass(pattern: str, use: str) -> None:
    assert hostile_text(pattern, re.DOTALL, use) is None
