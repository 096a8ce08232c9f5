"""A program is imported without the garbage collector, which then works for it as it does for others."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = """
import gc
import sys

print("importing", gc.isenabled())

def main():
    print("running", gc.isenabled(), gc.get_freeze_count() > 1000, sys.argv[1:])
    return 3
"""


@pytest.mark.parametrize("file", ["whole.py", "whole/__main__.py"])
def test_the_collector_is_off_while_a_program_is_imported_and_on_while_it_runs(tmp_path: Path, file: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(SOURCE)
    argv = [sys.executable, "-P", "-m", "runtime.program", "whole", "--option"]
    ended = subprocess.run(argv, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert ended.stdout == "importing False\nrunning True True ['--option']\n", ended.stderr
    assert ended.returncode == 3
