"""The package can be installed where nothing of the server is: with httpx alone, and on Python 3.10."""

import ast
import subprocess
import sys

from tests.pipeline.engines import REPOSITORY

PACKAGE = REPOSITORY / "clients" / "python" / "feedback_client"
OPTIONAL = {"httpx2_transport.py": {"httpx2"}, "requests_adapter.py": {"requests"}}


def test_each_module_imports_httpx_and_python_alone_but_for_the_hook_of_another_library() -> None:
    for file in PACKAGE.glob("*.py"):
        imported = set()
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            imported |= {name.partition(".")[0] for name in names}
        allowed = sys.stdlib_module_names | {"feedback_client", "httpx"} | OPTIONAL.get(file.name, set())
        assert imported <= allowed, f"{file.name} imports {imported - allowed}"


def test_the_types_hold_on_the_oldest_python_that_it_supports() -> None:
    command = [sys.executable, "-m", "mypy", "--python-version", "3.10", "-p", "feedback_client"]
    checked = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=600)
    assert checked.returncode == 0, checked.stdout


def test_it_carries_the_licence_of_the_whole() -> None:
    assert (PACKAGE.parent / "LICENSE").read_text() == (REPOSITORY / "LICENSE").read_text()
