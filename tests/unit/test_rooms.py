"""The house: which room may import which, and that no folders import each other in a circle."""

import ast
from collections import defaultdict
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
MAY_IMPORT = {
    "schemas": set[str](),
    "runtime": {"schemas"},
    "ingest_api": {"schemas", "runtime"},
    "stream_workers": {"schemas", "runtime"},
    "query_api": {"schemas", "runtime"},
    "dashboard": {"schemas", "runtime"},
    "gateway": {"schemas", "runtime", "feedback_client"},
    "operations": {"schemas", "runtime", "ingest_api", "stream_workers", "query_api"},
    "deploy": {"schemas", "runtime", "ingest_api", "stream_workers", "query_api", "dashboard", "gateway", "operations"},
}
MAY_IMPORT["benchmarks"] = {*MAY_IMPORT}
# Clients are installed without the rest.
MAY_IMPORT["clients"] = set()
CLIENT = "feedback_client"


@cache
def imports(room: str) -> list[tuple[Path, str]]:
    """Each module of ours that a file of the room imports, wherever in the file."""
    found = []
    for file in sorted((REPOSITORY / room).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            found += [
                (file.relative_to(REPOSITORY), name) for name in names if name.split(".")[0] in {*MAY_IMPORT, CLIENT}
            ]
    return found


def folder_of(module: str) -> str:
    """The folder that a module stands in, or is."""
    path = REPOSITORY / module.replace(".", "/")
    return module if path.is_dir() else module.rpartition(".")[0]


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_run_one_way_between_the_rooms(room: str) -> None:
    own = {room, CLIENT} if room == "clients" else {room}
    upwards = [f"{file} imports {name}" for file, name in imports(room) if name.split(".")[0] not in own
               and name.split(".")[0] not in MAY_IMPORT[room]]  # fmt: skip
    assert not upwards


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_no_folders_of_a_room_import_each_other_in_a_circle(room: str) -> None:
    """Files at a room's root are what its folders share, or put its folders together: they stand outside this."""
    below = defaultdict[str, set[str]](set)
    for file, name in imports(room):
        folder, other = ".".join(file.parent.parts), folder_of(name)
        if {folder, other} & {room} or folder == other or other.split(".")[0] != room:
            continue
        below[folder].add(other)
    TopologicalSorter(below).prepare()
