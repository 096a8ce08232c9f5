"""The addresses of what `feedback up` runs on this machine, which it writes into its data folder while all is ready."""

from pathlib import Path

API_ADDRESS_FILE, KAFKA_ADDRESS_FILE = "api_address", "kafka_address"
"""The names of the files, in the data folder of `feedback up`."""

_FOLDER = Path(".feedback")


def api_address(default: str) -> str:
    """The address of the HTTP API that runs here, else the default."""
    return _address_in(API_ADDRESS_FILE, default)


def kafka_address(default: str) -> str:
    """The address of its Kafka, else the default."""
    return _address_in(KAFKA_ADDRESS_FILE, default)


def _address_in(file: str, default: str) -> str:
    try:
        return (_FOLDER / file).read_text(errors="replace").strip() or default
    except OSError:
        return default
