"""Puts each fault of the catalogue into a copy of the project, one at a time, and runs the test that must find it.

`python -m tests.mutants [WORD]` takes those whose promise, file or test contains the word. Exit code 1: a test passed
although the code was broken, or failed although it was not.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.catalogue import MUTANTS, Mutant

REPOSITORY = Path(__file__).parents[2]


def main(words: Sequence[str]) -> int:
    chosen = [each for each in MUTANTS if all(word in f"{each.promise} {each.file} {each.test}" for word in words)]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        copy_project(copy)
        print(f"{len(chosen)} mutants; first their tests on the code as it is", flush=True)
        tests = sorted({each.test for each in chosen})
        intact = {test for test in tests if passes(copy, test)}
        for test in tests:
            if test not in intact:
                print(f"FAILS ANYWAY  {test}")
        survivors = [each for each in chosen if each.test in intact and survives(copy, each)]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants were found")
    return int(bool(survivors) or len(intact) < len(tests))


def copy_project(to: Path) -> None:
    """The files that git tracks, as they are now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    for name in listed.decode().rstrip("\0").split("\0"):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, to / name)


def survives(copy: Path, mutant: Mutant) -> bool:
    """Whether the test passes although the code is broken."""
    path = copy / mutant.file
    intact = path.read_text()
    path.write_text(intact.replace(mutant.before, mutant.after))
    survived = passes(copy, mutant.test)
    path.write_text(intact)
    print(f"{'SURVIVED' if survived else 'found':13} {mutant.promise}: {mutant.test}", flush=True)
    return survived


def passes(copy: Path, test: str) -> bool:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{copy}:{copy / 'clients/python'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TEST_TIMES": "4",
    }
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
