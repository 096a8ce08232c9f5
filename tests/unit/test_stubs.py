"""The stubs in typings/ say of a library what the installed one has: each name, and each parameter of each function."""

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

STUBS = Path(__file__).parents[2] / "typings"
FILES = sorted(STUBS.rglob("*.pyi"))


def module_of(file: Path) -> Any:
    return import_module(".".join(file.relative_to(STUBS).with_suffix("").parts).removesuffix(".__init__"))


def differences(owner: Any, nodes: list[ast.stmt]) -> Iterator[str]:
    """What the stub says of the owner's functions and classes, and the owner has otherwise."""
    for node in nodes:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        real = inspect.getattr_static(owner, node.name, None)
        if real is None:
            yield f"{node.name} is not there"
        elif isinstance(node, ast.ClassDef):
            yield from (f"{node.name}.{each}" for each in differences(real, node.body))
        elif not isinstance(real, property):
            given = inspect.signature(real).parameters
            takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in given.values())
            said = {each.arg for each in [*node.args.args, *node.args.kwonlyargs]}
            yield from (f"{node.name} takes no {name}" for name in said - given.keys() if not takes_any)
            if isinstance(node, ast.AsyncFunctionDef) != inspect.iscoroutinefunction(real):
                yield f"{node.name} is awaited in one of the two alone"


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(STUBS)) for file in FILES])
def test_what_a_stub_says_the_library_has(file: Path) -> None:
    assert not [*differences(module_of(file), ast.parse(file.read_text()).body)]
