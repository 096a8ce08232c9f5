"""Fetches the library that draws the diagrams of the built site, in one pinned version: `fetch_mermaid.py TARGET`.

The site carries this file itself, so that no reader's browser asks another host. Needs npm.
"""

import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

PACKAGE = "@mermaid-js/tiny@11.17.2"
FILE = "package/dist/mermaid.tiny.js"
SHA256 = "7a644017d37f93c8359790884e6b67fb1f747c78eb20475952404bd87190a3f8"


def fetched() -> bytes:
    """The library's text, as npm's registry has it; a text with another checksum is refused."""
    with TemporaryDirectory() as folder:
        packed = subprocess.run(
            ["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, capture_output=True, text=True
        )
        with tarfile.open(Path(folder) / packed.stdout.split()[-1]) as archive:
            member = archive.extractfile(FILE)
            content = member.read() if member else b""
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{PACKAGE}: {FILE} has the SHA-256 {found}, and not {SHA256}: it is not used")
    return content


if __name__ == "__main__":
    try:
        Path(sys.argv[1]).write_bytes(fetched())
    except FileNotFoundError:
        raise SystemExit("npm is needed once, to fetch the library that draws the diagrams: install npm") from None
