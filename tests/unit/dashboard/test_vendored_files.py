"""The browser libraries in dashboard/static/vendor are those that the manifest names, unchanged."""

import hashlib

from deploy.vendor import FOLDER, MANIFEST, manifest


def test_each_vendored_file_is_in_the_manifest_with_its_checksum() -> None:
    told = {name: file["sha256"] for package in manifest() for name, file in package["files"].items()}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FOLDER.iterdir() if path != MANIFEST}
    assert found == told


def test_each_vendored_package_carries_its_licence() -> None:
    for package in manifest():
        (text,) = [(FOLDER / name).read_text() for name in package["files"] if name.endswith(".LICENSE")]
        assert {"BSD-0-Clause": "Zero-Clause BSD", "MIT": "MIT License"}[package["licence"]] in text
