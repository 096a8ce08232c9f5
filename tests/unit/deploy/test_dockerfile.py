"""What the image promises: small, pinned, without root, and with everything the programs need in its wheel.

The Dockerfile is read as the list of its instructions; the wheel it would install is built and run in an empty folder.
"""

import ast
import json
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from fnmatch import fnmatchcase
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
FILE = ROOT / "deploy/docker/Dockerfile"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
NAMES = {Path(package).name for package in PACKAGES}
SETS = {"runtime": "all", "edge": "edge"}
"""What an image may be built with, by the argument `SET`, and the extra of ours that it is."""

Instruction = tuple[str, str]


def stages() -> list[list[Instruction]]:
    """The instructions of each stage, its FROM first; ARGs before the first FROM are filled in."""
    text = re.sub(r"^\s*#.*\n", "", FILE.read_text(), flags=re.MULTILINE)
    text = re.sub(r"\\\n", " ", text)
    for name, default in re.findall(r"^ARG (\w+)=(\S+)$", text.split("FROM")[0], flags=re.MULTILINE):
        text = text.replace(f"${{{name}}}", default)
    found: list[list[Instruction]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append([])
        if found:
            found[-1].append((word, " ".join(rest.split())))
    return found


def all_of(word: str) -> list[str]:
    return [rest for stage in stages() for each, rest in stage if each == word]


def final(word: str) -> str:
    (found,) = [rest for each, rest in stages()[-1] if each == word]
    return found


def is_sent_to_the_build(path: str) -> bool:
    """Whether .dockerignore lets a file of the repository through: the last pattern that fits it decides."""
    sent = True
    parts = path.split("/")
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").removeprefix("**/")
        depth = pattern.count("/") + 1
        # A pattern fits a path, or a folder above it; after **/ it may begin anywhere.
        starts = range(len(parts)) if "**/" in line else [0]
        if any(fnmatchcase("/".join(parts[start : start + depth]), pattern) for start in starts):
            sent = line.startswith("!")
    return sent


def test_every_base_is_pinned() -> None:
    names = set()
    for base in all_of("FROM"):
        image, _, name = base.partition(" AS ")
        assert image in names or re.fullmatch(r"python:3\.12\.\d+-slim-\w+", image), base
        names.add(name)


def test_the_build_needs_no_system_packages_and_fetches_nothing_by_itself() -> None:
    assert all_of("ADD") == []
    assert not re.search(r"\b(apt|apt-get|curl|wget|sudo|git)\b", " ".join(all_of("RUN")))


def test_pip_installs_what_the_lock_names_and_our_own_wheel() -> None:
    installs = [run for run in all_of("RUN") if "pip" in run and " install " in run]
    lock, tools, ours = installs
    assert "--require-hashes --only-binary=:all: -r requirements/${SET}.txt" in lock
    assert "--require-hashes --only-binary=:all: -r requirements/build.txt" in tools
    assert "--no-index --no-deps" in ours
    assert ours.endswith(" /dist/*.whl")


@pytest.mark.parametrize("name", SETS)
def test_the_lock_has_a_hash_for_each_package_and_no_engine(name: str) -> None:
    lock = (ROOT / f"requirements/{name}.txt").read_text()
    packages = re.findall(r"^([\w.-]+)==[^\n]*\\\n    --hash=sha256:[0-9a-f]{64}", lock, flags=re.MULTILINE)
    assert len(packages) == len(re.findall(r"^\S", lock, flags=re.MULTILINE)) > 20
    assert not {each for each in packages if re.match(r"chdb|calfkit|hatchling", each)}
    assert closure(declared(SETS[name])) <= {*map(canonicalize_name, packages), "opentelemetry-api"}


def test_an_edge_carries_neither_clickhouses_client_nor_pyarrow() -> None:
    assert not closure(declared("edge")) & {"clickhouse-connect", "pyarrow", "numpy", "faust-streaming", "aiohttp"}
    lock = (ROOT / "requirements/edge.txt").read_text()
    assert not re.search(r"^(clickhouse-connect|pyarrow|numpy|faust-streaming|aiohttp)==", lock, flags=re.MULTILINE)


def test_the_image_has_no_build_tools() -> None:
    """They are in the stage that makes the wheel, of which the image takes the wheel alone."""
    assert not [run for run in all_of("RUN") if "/app" in run and "build" in run]
    (venv,) = [rest for each, rest in stages()[-1] if each == "COPY"]
    assert venv == "--from=dependencies /app /app"


def declared(extra: str) -> list[str]:
    """What our package with this extra is declared to need."""
    project, needs = PROJECT["project"], [*PROJECT["project"]["dependencies"]]
    for each in map(Requirement, project["optional-dependencies"][extra]):
        needs += [one for own in each.extras for one in declared(own)] if each.name == project["name"] else [str(each)]
    return needs


def closure(requirements: list[str]) -> set[str]:
    """The names of these packages and of all they need, as installed here."""
    found: set[str] = set()
    waiting = [Requirement(each) for each in requirements]
    while waiting:
        one = waiting.pop()
        asked = [{"extra": extra} for extra in (*one.extras, "")]
        name = canonicalize_name(one.name)
        if name in found or (one.marker and not one.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        needs = map(Requirement, requires(one.name) or ())
        waiting += [
            each if each.marker is None else Requirement(f"{each.name}[{','.join(each.extras)}]")
            for each in needs
            if each.marker is None or any(each.marker.evaluate(environment) for environment in asked)
        ]
    return found


def test_the_image_has_each_package_that_our_programs_import() -> None:
    installed = closure(declared("all"))
    provided_by = packages_distributions()
    # The client's hooks are for what the apps have installed that use them.
    for package in {*PACKAGES} & NAMES:
        # What runs embedded has packages of its own, which no container has.
        for file in sorted({*(ROOT / package).rglob("*.py")} - {*(ROOT / "deploy/embedded").rglob("*.py")}):
            for module in imported(file):
                found = {name.lower().replace("_", "-") for name in provided_by.get(module, ())}
                assert not found or found & installed, f"{file} imports {module}"


def imported(file: Path) -> set[str]:
    """The top-level modules that a file imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    names = [each.name for node in nodes if isinstance(node, ast.Import) for each in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names} - NAMES


def test_a_change_of_our_code_leaves_the_installed_dependencies_cached() -> None:
    dependencies = stages()[0]
    run = next(i for i, (word, rest) in enumerate(dependencies) if word == "RUN" and "${SET}.txt" in rest)
    assert [rest for word, rest in dependencies[:run] if word == "COPY"] == ["requirements/${SET}.txt requirements/"]


def test_programs_run_as_a_numbered_user_that_is_not_root() -> None:
    words = [word for word, _ in stages()[-1]]
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", final("USER"))
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert "RUN" not in words[words.index("USER") :]


def test_programs_get_signals_themselves_and_say_things_at_once() -> None:
    assert json.loads(final("ENTRYPOINT")) == ["feedback"]
    assert json.loads(final("CMD")) == ["edge"]
    assert final("STOPSIGNAL") == "SIGTERM"
    assert "PYTHONUNBUFFERED=1" in final("ENV")
    assert PROJECT["project"]["scripts"]["feedback"] == "deploy.cli:main"


def test_the_image_tells_its_licence() -> None:
    assert f'org.opencontainers.image.licenses="{PROJECT["project"]["license"]}"' in final("LABEL")


def copied() -> set[str]:
    sources = (rest.split()[:-1] for rest in all_of("COPY") if "--from" not in rest)
    return {source.replace("${SET}", each) for given in sources for source in given for each in SETS}


def test_what_is_copied_is_there_and_is_all_that_the_wheel_is_made_of() -> None:
    for source in copied():
        files = [path for path in (ROOT / source).rglob("*.*") if path.suffix in {".py", ".sql"}] or [ROOT / source]
        for file in files:
            assert file.exists(), source
            assert is_sent_to_the_build(file.relative_to(ROOT).as_posix()), file
    made_of = {*PACKAGES, PROJECT["project"]["readme"]}
    made_of |= {*PROJECT["project"]["license-files"], "pyproject.toml"}
    assert copied() == made_of | {"requirements/build.txt", *(f"requirements/{each}.txt" for each in SETS)}


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".git/config",
        ".feedback/clickhouse/data",
        "deploy/__pycache__/cli.cpython-312.pyc",
        "deploy/kafka/target/libs/kafka.jar",
        "requirements/dev.txt",
        "tests/unit/deploy/test_dockerfile.py",
    ],
)
def test_secrets_data_and_leftovers_are_not_sent_to_the_build(path: str) -> None:
    assert not is_sent_to_the_build(path)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (build,) = [run for run in all_of("RUN") if "hatchling" in run and " build " in run]
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, *build.replace(" /dist", f" {folder}").split()[1:]]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (made,) = folder.iterdir()
    return made


def test_the_wheel_has_every_table_and_no_test(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    migrations = {path.relative_to(ROOT).as_posix() for path in (ROOT / "deploy/clickhouse").glob("*.sql")}
    assert migrations
    assert migrations <= names
    assert "deploy/docker/worker_health.py" in names
    assert {name.partition("/")[0] for name in names} == {*NAMES, f"{wheel.name.rpartition('-py3')[0]}.dist-info"}
    assert not {name for name in names if name.endswith((".jar", ".pyc", ".env"))}


# The wheel's own folder comes first, then the installed dependencies; `-I` keeps the working directory out.
_IN_A_BARE_FOLDER = """
import sys
wheel, dependencies, *arguments = sys.argv[1:]
sys.path[:0] = [wheel]
sys.path.append(dependencies)
import operations.migrate
assert operations.migrate.__file__.startswith(wheel), operations.migrate.__file__
from importlib.metadata import entry_points
(feedback,) = [each for each in entry_points(group="console_scripts", name="feedback")]
print([each.version for each in operations.migrate.migrations()], flush=True)
sys.exit(feedback.load()(arguments))
"""


def test_the_installed_wheel_runs_and_finds_its_migrations_without_the_repository(wheel: Path, tmp_path: Path) -> None:
    installed, bare = tmp_path / "installed", tmp_path / "bare"
    zipfile.ZipFile(wheel).extractall(installed)
    bare.mkdir()
    # Without the site module the editable install of this very repository is not on the path.
    command = [sys.executable, "-I", "-S", "-c", _IN_A_BARE_FOLDER, str(installed), sysconfig.get_path("purelib")]

    def run(argument: str) -> str:
        done = subprocess.run([*command, argument], cwd=bare, env={}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    versions, told = run("version").splitlines()
    assert versions == str(sorted(int(path.name[:4]) for path in (ROOT / "deploy/clickhouse").glob("*.up.sql")))
    assert told == f"feedback {PROJECT['project']['version']}"
    for name in ("edge", "worker", "topics", "migrate"):
        assert re.search(rf"^ +{name} ", run("--help"), flags=re.MULTILINE)
