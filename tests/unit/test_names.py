"""No two classes of the project share a name: a name means the same thing in every room."""

import re
from collections import defaultdict
from pathlib import Path

from tests.unit.test_rooms import MAY_IMPORT

REPOSITORY = Path(__file__).parents[2]
# A client is a package of its own, with the names of its own users.
ROOMS = MAY_IMPORT.keys() - {"benchmarks", "clients"}


def classes() -> dict[str, list[str]]:
    """The files that define a class of each name at their top level."""
    found: dict[str, list[str]] = defaultdict(list)
    for room in sorted(ROOMS):
        for file in sorted((REPOSITORY / room).rglob("*.py")):
            for name in re.findall(r"^class (\w+)", file.read_text(), re.MULTILINE):
                found[name].append(str(file.relative_to(REPOSITORY)))
    return found


def test_no_two_classes_share_a_name() -> None:
    shared = {name: files for name, files in classes().items() if len(files) > 1}
    assert not shared, "rename one of the classes"
