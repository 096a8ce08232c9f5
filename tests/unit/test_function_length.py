"""No function is longer than a reader can hold in mind."""

import ast
from pathlib import Path

import pytest

from tests.unit.test_rooms import MAY_IMPORT

REPOSITORY = Path(__file__).parents[2]
MOST_LINES = 60


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_no_function_has_more_than_sixty_lines(room: str) -> None:
    long = [
        f"{file.relative_to(REPOSITORY)}: {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for file in sorted((REPOSITORY / room).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= MOST_LINES
    ]
    assert not long, "split it by what it decides"
