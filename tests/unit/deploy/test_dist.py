"""What `make dist` builds: a wheel and a source archive that hold all data files the programs read."""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"][
    "packages"
]
NOT_OURS = {"__pycache__", "target"}
NAMES = {Path(package).name for package in PACKAGES}
READ_AT_RUN_TIME = {
    "dashboard/static/dashboard.css",
    "dashboard/static/vendor/htmx.min.js",
    "dashboard/templates/base.html",
    "deploy/demo/languages/en.json",
    "deploy/kafka/log4j2.properties",
    "deploy/kafka/pom.xml",
}


def build(project: Path, target: Path, *options: str) -> None:
    """Build the source archive and the wheel of a project's folder, as `make dist` does."""
    argv = [sys.executable, "-m", "hatchling", "build", "-d", target, *options]
    subprocess.run(argv, cwd=project, check=True, capture_output=True)


def contents(wheel: Path) -> dict[str, bytes]:
    """The files of the packages in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.partition("/")[0] in NAMES}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    target = tmp_path_factory.mktemp("dist")
    build(ROOT, target)
    (source,), (wheel,) = target.glob("*.tar.gz"), target.glob("*.whl")
    return source, wheel


def test_the_installed_wheel_has_every_file_of_the_packages(dist: tuple[Path, Path], tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--no-compile", "--target", tmp_path, dist[1]], check=True, capture_output=True)
    ours = {
        file.relative_to((ROOT / package).parent): file
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.is_file() and not NOT_OURS & set(file.relative_to(ROOT).parts)
    }
    installed = {
        name.as_posix()
        for name, file in ours.items()
        if (tmp_path / name).is_file() and (tmp_path / name).read_bytes() == file.read_bytes()
    }
    assert installed == {name.as_posix() for name in ours}
    assert installed >= READ_AT_RUN_TIME
    assert any(name.endswith(".sql") for name in installed)
    assert (tmp_path / "bin/feedback").is_file()


def test_the_source_archive_builds_the_same_wheel(dist: tuple[Path, Path], tmp_path: Path) -> None:
    with tarfile.open(dist[0]) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # from Python 3.11.4 on
        archive.extractall(tmp_path / "source")
    (project,) = (tmp_path / "source").iterdir()
    build(project, tmp_path / "again", "-t", "wheel")
    (again,) = (tmp_path / "again").iterdir()
    assert contents(again) == contents(dist[1])
    for name in ("LICENSE", "README.md", "CONTRIBUTING.md", "Makefile", "tests/model.py"):
        assert (project / name).is_file()
