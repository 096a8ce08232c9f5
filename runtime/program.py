"""Runs a module as a program, with the garbage collector off while it is imported: `python -m runtime.program MODULE`.

An import creates hundreds of thousands of objects, and all of them stay. Looking for garbage among them again and again
takes a fifth of a start. Later collections leave them out.
"""

import gc
import importlib
import importlib.util
import sys


def run_program(name: str) -> int:
    """Import a module, or the `__main__` of a package, and run its `main`; the exit code."""
    gc.disable()
    try:
        module = importlib.import_module(_main_module(name))
    finally:
        gc.freeze()
        gc.enable()
    code: int = module.main()
    return code


def _main_module(name: str) -> str:
    found = importlib.util.find_spec(name)
    return f"{name}.__main__" if found is not None and found.submodule_search_locations is not None else name


if __name__ == "__main__":
    # The module reads its own arguments from the command line.
    del sys.argv[0]
    sys.exit(run_program(sys.argv[0]))
