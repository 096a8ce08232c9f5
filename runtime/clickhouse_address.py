"""Where ClickHouse is: as FEEDBACK_CLICKHOUSE_URL or a command line says, else as `feedback up` has left it here.

Every program and command asks here, so all of them find the embedded engine and its password by themselves.
"""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from runtime.addresses import http_url

ADDRESS_FILE = "address"
"""Its name in the data folder of the embedded ClickHouse."""

ADDRESS_PATH = Path(".feedback", "clickhouse", ADDRESS_FILE)
DEFAULT = "http://127.0.0.1:8123"


def clickhouse_url(given: str | None) -> str:
    """The address as given, else the kept one, else that of this machine without a password."""
    if given:
        return given
    try:
        return ADDRESS_PATH.read_text().strip() or DEFAULT
    except OSError:
        return DEFAULT


ClickHouseUrl = Annotated[str, AfterValidator(lambda given: http_url(clickhouse_url(given)))]
"""A setting that is checked, and found where it is empty."""
