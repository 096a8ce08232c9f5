"""No two classes of the project share a name: a name means the same thing in every room."""

import ast
from collections import defaultdict
from pathlib import Path

from tests.unit.test_rooms import MAY_IMPORT

REPOSITORY = Path(__file__).parents[2]
# A client is a package of its own, with the names of its own users.
ROOMS = MAY_IMPORT.keys() - {"benchmarks", "clients"}
# Names that still stand for two things. A name leaves this set when one of its classes is renamed; none is added.
STILL_SHARED = {"Change", "Changes", "Column", "RequestGroup"}


def classes() -> dict[str, list[str]]:
    """The files that define a class of each name at their top level."""
    found: dict[str, list[str]] = defaultdict(list)
    for room in sorted(ROOMS):
        for file in sorted((REPOSITORY / room).rglob("*.py")):
            for node in ast.parse(file.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    found[node.name].append(str(file.relative_to(REPOSITORY)))
    return found


def test_no_two_classes_share_a_name() -> None:
    shared = {name: files for name, files in classes().items() if len(files) > 1}
    new = {name: files for name, files in shared.items() if name not in STILL_SHARED}
    assert not new, "rename one of the classes"
    assert not STILL_SHARED - shared.keys(), "these names are unique now: take them out of STILL_SHARED"
