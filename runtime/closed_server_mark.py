"""The file that remembers that API keys have closed a server, in case the keys themselves are lost.

It is written when API keys close the server and removed when an operator opens it (`feedback keys open`). It names the
keys that had been left behind by then. So a source of keys that was restored from an older backup cannot open the
server, because it knows of no later opening.
"""

import json
import logging
import os
from pathlib import Path

from runtime.api_key_store import ApiKeyStore

log = logging.getLogger(__name__)


def remember_in(path: Path, store: ApiKeyStore) -> None:
    """Close the store if the file says so, and keep the file up to date from now on."""
    try:
        store.close_after(_read(path))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, LookupError, TypeError) as error:
        store.close()
        log.error("%s cannot be read, so every call needs an API key: %s", path, error)

    def keep(closed: bool) -> None:
        try:
            if closed:
                _write(path, sorted(store.left_behind))
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            log.error(
                "%s cannot be written, so only the keys say whether the server is closed: %s",
                path,
                error,
            )

    store.on_change(keep)


def _read(path: Path) -> list[str]:
    found = json.loads(path.read_text())["left_behind"]
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ValueError("left_behind must be a list of ids")
    return found


def _write(path: Path, left_behind: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({"about": "This server was closed by API keys.", "left_behind": left_behind}, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
