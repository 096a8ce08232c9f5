"""The address of ClickHouse: FEEDBACK_CLICKHOUSE_URL or an option, else the file that `feedback up` writes.

All programs and commands use this, so they find the embedded ClickHouse and its password without configuration.
"""

from pathlib import Path

ADDRESS_FILE = "address"
"""The name of the file with the address, in the data folder of the embedded ClickHouse."""

ADDRESS_PATH = Path(".feedback", "clickhouse", ADDRESS_FILE)
DEFAULT = "http://127.0.0.1:8123"


def clickhouse_url(given: str | None) -> str:
    """The given address, else that in the file, else port 8123 of this machine without a password."""
    if given:
        return given
    try:
        return ADDRESS_PATH.read_text(errors="replace").strip() or DEFAULT
    except OSError:
        return DEFAULT
