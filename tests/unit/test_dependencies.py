"""What the product imports is declared, and where it rests on a package's internals, that package has one version."""

import ast
import sys
import tomllib
from functools import reduce
from importlib import import_module
from importlib.metadata import packages_distributions, version
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
OURS = [Path(package).name for package in PACKAGES]
DECLARED = {
    one.name: one
    for one in map(
        Requirement,
        [*PROJECT["project"]["dependencies"], *chain(*PROJECT["project"]["optional-dependencies"].values())],
    )
}
# Classes that these packages document to be derived from, so that any version in the declared range will do.
MEANT_TO_BE_DERIVED = {"fastapi", "msgspec", "prometheus_client", "pydantic", "pydantic_settings", "starlette"}
# By package: what our code reads or overrides and the package promises to nobody.
INTERNALS = {
    "aiokafka": [
        "aiokafka.client:AIOKafkaClient.force_metadata_update",
        "aiokafka.client:AIOKafkaClient.set_topics",
        "aiokafka.client:AIOKafkaClient._md_synchronizer",
        "aiokafka.consumer.fetcher:Fetcher.close",
        "aiokafka.producer.message_accumulator:BatchBuilder.append",
        "aiokafka.producer.message_accumulator:MessageAccumulator._append_batch",
        "aiokafka.producer.sender:Sender.sender_task",
    ],
    "aiohttp": ["aiohttp.http_writer:StreamWriter.write_headers", "aiohttp.http_writer:_serialize_headers"],
    "chdb": ["chdb:_chdb.connect"],
    "faust-streaming": [
        "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread._create_worker_consumer",
        "faust.transport.drivers.aiokafka:Consumer._new_consumer_thread",
        "faust.transport.drivers.aiokafka:Consumer._wait_next_records",
        "faust.transport.drivers.aiokafka:Consumer._commit",
        "faust.transport.drivers.aiokafka:Consumer._filter_tps_with_pending_acks",
        "faust.transport.drivers.aiokafka:Consumer._new_offset",
        "faust.transport.drivers.aiokafka:Consumer._add_gap",
        "faust.transport.drivers.aiokafka:Consumer.perform_seek",
        "faust.transport.drivers.aiokafka:Consumer.verify_event_path",
        "faust.transport.drivers.aiokafka:Transport.Consumer",
    ],
    "mode-streaming": ["mode:Service._execute_task", "mode:Worker._gather_all", "mode:Worker._sentinel_task"],
    "uvicorn": [
        "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.on_message_begin",
        "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.on_response_complete",
        "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol._start_asgi_task",
        "uvicorn.protocols.http.httptools_impl:STATUS_LINE",
    ],
}
# Private names of other packages' objects that our code may use, as far as INTERNALS has no class for them.
ATTRIBUTES = {
    "_append_batch", "_builder", "_buffered_partitions", "_client", "_closed", "_committed_offset", "_consumer",
    "_coordinator", "_pending_exception",
    "_execute_task", "_exception", "_fetch_max_wait_ms", "_fetcher", "_group_subscription", "_message_accumulator",
    "_position", "_read_offset", "_relative_offset", "_sender", "_serialize_headers", "_start_asgi_task",
    "_subscription", "_thread", "_wait_next_records",
}  # fmt: skip
STANDARD = {"_asdict", "_exit", "_replace"}


Sources = dict[Path, list[ast.AST]]


@pytest.fixture(scope="module")
def sources() -> Sources:
    """The nodes of each file of the product. The client, in a folder of its own, has dependencies of its own."""
    files = [file for package in {*PACKAGES} & {*OURS} for file in (ROOT / package).rglob("*.py")]
    return {file.relative_to(ROOT): [*ast.walk(ast.parse(file.read_text()))] for file in sorted(files)}


def modules_imported(nodes: list[ast.AST]) -> set[str]:
    names = [each.name for node in nodes if isinstance(node, ast.Import) for each in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return {name.partition(".")[0] for name in names} - {*OURS} - sys.stdlib_module_names


def test_every_package_that_the_product_imports_is_a_declared_dependency(sources: Sources) -> None:
    provided_by = packages_distributions()
    undeclared = {
        f"{file}: {module}"
        for file, nodes in sources.items()
        for module in modules_imported(nodes)
        if not {name.lower().replace("_", "-") for name in provided_by.get(module, ())} & DECLARED.keys()
    }
    assert undeclared == set()


@pytest.mark.parametrize("package", INTERNALS)
def test_a_package_whose_internals_are_used_has_one_version(package: str) -> None:
    (pin,) = DECLARED[package].specifier
    assert pin.operator == "=="
    assert pin.version == version(package), "install again, and read what the new version does with INTERNALS"


@pytest.mark.parametrize("name", [name for names in INTERNALS.values() for name in names])
def test_what_the_code_rests_on_is_there(name: str) -> None:
    module, _, path = name.partition(":")
    assert reduce(getattr, path.split("."), import_module(module)) is not None


def test_no_other_internals_are_used(sources: Sources) -> None:
    own_of = {file: names_given_in(nodes) for file, nodes in sources.items()}
    all_own = set().union(*own_of.values())
    found = set()
    for file, nodes in sources.items():
        used = {n.attr for n in nodes if isinstance(n, ast.Attribute) and not (of_self(n) and n.attr in all_own)}
        private = {name for name in used if name.startswith("_") and not name.startswith("__")}
        found |= {f"{file}: {name}" for name in private - own_of[file] - ATTRIBUTES - STANDARD}
    assert found == set(), "pin the package exactly, and add the name here"


def names_given_in(nodes: list[ast.AST]) -> set[str]:
    """Functions, classes, variables and attributes that a file makes."""
    names = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    names |= {n.attr for n in nodes if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store) and of_self(n)}
    names |= {n.target.id for n in nodes if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
    return names | {t.id for n in nodes if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}


def of_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def test_json_of_data_is_read_and_written_by_one_library(sources: Sources) -> None:
    """`docs/design.md` says why it is msgspec, and what these modules need of the standard library's."""
    standard = {
        "ingest_api/validation/json_limits.py",  # keeps a key that appears twice, to name it
        *("runtime/closed_server_mark.py", "schemas/export.py"),  # files that people read
    }
    rooms = ("schemas", "runtime", "ingest_api", "stream_workers", "query_api", "operations")
    imported = {
        str(file): {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        for file, nodes in sources.items()
    }
    assert {file for file, names in imported.items() if "json" in names and file.startswith(rooms)} == standard
    assert not {file for file, names in imported.items() if names & {"orjson", "ujson", "simplejson"}}


def test_what_is_derived_from_is_pinned_or_meant_for_it(sources: Sources) -> None:
    provided_by, loose = packages_distributions(), set()
    for file, nodes in sources.items():
        came_from = {
            each.asname or each.name.partition(".")[0]: (
                node.module or "" if isinstance(node, ast.ImportFrom) else each.name
            )
            for node in nodes
            if isinstance(node, ast.Import | ast.ImportFrom)
            for each in node.names
        }
        for base in [base for node in nodes if isinstance(node, ast.ClassDef) for base in node.bases]:
            root = base
            while isinstance(root, ast.Attribute | ast.Subscript):
                root = root.value
            module = came_from.get(root.id, "").partition(".")[0] if isinstance(root, ast.Name) else ""
            if not module or module in sys.stdlib_module_names or module in {*OURS, *MEANT_TO_BE_DERIVED}:
                continue
            pins = [DECLARED[name.lower()].specifier for name in provided_by[module] if name.lower() in DECLARED]
            if module != "typing_extensions" and not all(pin.operator == "==" for each in pins for pin in each):
                loose.add(f"{file}: {ast.unparse(base)}")
    assert loose == set()
