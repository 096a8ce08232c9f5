"""The address of the embedded ClickHouse with its password, kept in its data folder for our own programs.

The password is made once; host and port are those of the latest start. Whoever can read the file may do everything in
ClickHouse, so nobody but its owner can.
"""

import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from runtime.clickhouse_address import ADDRESS_FILE

USER = "default"


class AddressFileError(RuntimeError):
    """The file cannot be used; the message says what to do."""


def keep_address(data_dir: Path, host: str, port: int) -> str:
    """The address for a server that listens here; written into the folder, which is made if need be."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = data_dir / ADDRESS_FILE
    address = (
        f"http://{USER}:{_password_in(file) or secrets.token_urlsafe(24)}@{f'[{host}]' if ':' in host else host}:{port}"
    )
    if not file.exists() or file.read_text().strip() != address:
        draft = file.with_name(f"{ADDRESS_FILE}.{os.getpid()}")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
            written.write(f"{address}\n")
        draft.replace(file)
    file.chmod(0o600)
    return address


def password_of(address: str) -> str:
    """The password that an address of ours has."""
    return urlsplit(address).password or ""


def _password_in(file: Path) -> str | None:
    if not file.exists():
        return None
    password = password_of(file.read_text().strip())
    if not password:
        raise AddressFileError(f"{file} holds no address with a password: remove it, and another one is made.")
    return password
