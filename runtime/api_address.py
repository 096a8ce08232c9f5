"""Finds the address of the HTTP API that runs here: `feedback up` writes it into its data folder while it is ready."""

from pathlib import Path

ADDRESS_FILE = "api_address"
"""The name of the file, in the data folder of `feedback up`."""

_PATH = Path(".feedback", ADDRESS_FILE)


def api_address(default: str) -> str:
    """The address in the file of the data folder here, else the default."""
    try:
        return _PATH.read_text().strip() or default
    except OSError:
        return default
