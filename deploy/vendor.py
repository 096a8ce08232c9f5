"""Fetches the browser libraries of the dashboard in the versions that the manifest names. `make vendor`.

To change a version, write it into dashboard/static/vendor/manifest.json and run this: it updates files and checksums.
The dashboard itself fetches nothing, neither when it is installed nor when it runs. Needs npm.
"""

import hashlib
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

FOLDER = Path(__file__).parents[1] / "dashboard" / "static" / "vendor"
MANIFEST = FOLDER / "manifest.json"
Json = dict[str, Any]


def manifest() -> list[Json]:
    """The packages, each with its version, its licence, and its files with their sources and SHA-256."""
    packages: list[Json] = json.loads(MANIFEST.read_text())
    return packages


def fetch(package: Json) -> None:
    """Write the files of a package, and their checksums into its entry."""
    with TemporaryDirectory() as folder:
        named = f"{package['package']}@{package['version']}"
        packed = subprocess.run(
            ["npm", "pack", "--silent", named], cwd=folder, check=True, capture_output=True, text=True
        )
        with tarfile.open(Path(folder) / packed.stdout.split()[-1]) as archive:
            said = json.loads(_read(archive, "package.json"))
            package["licence"] = said["license"]
            for name, file in package["files"].items():
                content = _read(archive, file["from"])
                (FOLDER / name).write_bytes(content)
                file["sha256"] = hashlib.sha256(content).hexdigest()


def _read(archive: tarfile.TarFile, path: str) -> bytes:
    member = archive.extractfile(f"package/{path}")
    if member is None:
        raise FileNotFoundError(f"the package has no file {path}")
    return member.read()


def main() -> int:
    """Fetch all; the exit code."""
    packages = manifest()
    for package in packages:
        fetch(package)
        print(f"{package['package']} {package['version']} ({package['licence']})")
    MANIFEST.write_text(json.dumps(packages, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
