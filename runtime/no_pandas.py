"""Keeps pandas out of a program that would import it in vain, for half a second of CPU and 50 MB.

clickhouse-connect imports it at the first insert, and pyarrow at its first array, wherever it is installed. No program
uses it.
"""

import sys
from importlib.abc import MetaPathFinder
from types import ModuleType


class _NoPandas(MetaPathFinder):
    def find_spec(self, name: str, path: object, target: ModuleType | None = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(f"{name} is not used here", name=name)


def hide_pandas() -> None:
    """Let no later import of this process find it."""
    sys.meta_path.insert(0, _NoPandas())
