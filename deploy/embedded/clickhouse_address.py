"""The address of the embedded ClickHouse with its password, in a file in its data folder, for our own programs.

The password is made once; host and port are those of the latest start. A reader of the file may do everything in
ClickHouse, so only the owner can read it.
"""

import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from runtime.addresses import url_host
from runtime.clickhouse_address import ADDRESS_FILE
from runtime.folder_errors import why_unusable

USER = "default"


class AddressFileError(RuntimeError):
    """The file cannot be used. The message says what to do."""


def keep_address(data_dir: Path, host: str, port: int) -> str:
    """The address of a server that listens here. It is written into the folder, which is created if it is missing."""
    file = data_dir / ADDRESS_FILE
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _kept(file, f"{url_host(host)}:{port}")
    except OSError as error:
        raise AddressFileError(
            f"{file} cannot hold the address of ClickHouse ({why_unusable(file, error)}): put right what is there,"
            " or use another folder."
        ) from None


def _kept(file: Path, place: str) -> str:
    known = _text_of(file)
    address = f"http://{USER}:{_password_in(file, known) or secrets.token_urlsafe(24)}@{place}"
    if known != address:
        draft = file.with_name(f"{ADDRESS_FILE}.{os.getpid()}")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
            written.write(f"{address}\n")
        draft.replace(file)
    file.chmod(0o600)
    return address


def password_of(address: str) -> str:
    """The password in such an address."""
    return urlsplit(address).password or ""


def _text_of(file: Path) -> str | None:
    return file.read_text(errors="replace").strip() if file.exists() else None


def _password_in(file: Path, text: str | None) -> str | None:
    if text is None:
        return None
    try:
        password = password_of(text)
    except ValueError:
        password = ""
    if not password:
        raise AddressFileError(f"{file} holds no address with a password: remove it, and another one is made.")
    return password
