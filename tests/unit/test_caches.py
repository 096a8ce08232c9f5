"""What is remembered between calls is small, because it stays in memory: each cache says what bounds an entry of it."""

import ast
from pathlib import Path
from typing import Any

import pytest

from ingest_api.otlp import attribute_secrets, span_headers
from runtime.harmless_names import HarmlessNames
from schemas import murmur2

ROOT = Path(__file__).parents[2]
PROGRAMS = ("schemas", "runtime", "ingest_api", "query_api", "stream_workers", "dashboard", "gateway", "operations")
BOUND_BY = {
    "ingest_api/http/telemetry.py": "one beginning of ids",
    "ingest_api/otlp/attribute_secrets.py": "only names of up to 128 characters",
    "ingest_api/otlp/protobuf_attributes.py": "only attributes of up to 100 bytes",
    "ingest_api/otlp/span_headers.py": "only hosts of up to 255 characters",
    "ingest_api/validation/feedback_item.py": "numbers",
    "operations/reconcile/journal.py": "one command, which ends",
    "runtime/request_origin.py": "only hosts of up to 300 characters",
    "runtime/times.py": "numbers",
    "schemas/murmur2.py": "numbers of up to 1,024 keys, and of words in a key",
}


def test_every_cache_says_what_bounds_an_entry() -> None:
    found = set()
    for program in PROGRAMS:
        for path in (ROOT / program).rglob("*.py"):
            source = path.read_text()
            imported = {
                name.name
                for node in (ast.walk(ast.parse(source)) if "functools" in source else ())
                if isinstance(node, ast.ImportFrom) and node.module == "functools"
                for name in node.names
            }
            if imported & {"lru_cache", "cache"}:
                found.add(str(path.relative_to(ROOT)))
    assert found == {*BOUND_BY}


@pytest.mark.parametrize(
    ("remembered", "use"),
    [
        (
            span_headers._server,
            lambda text: span_headers.take_url({"server.address": text, "server.port": text}, HarmlessNames()),
        ),
        (
            attribute_secrets._kind,
            lambda text: attribute_secrets.attributes_without_secrets({text: text}, HarmlessNames()),
        ),
    ],
)
def test_no_long_text_of_a_caller_stays(remembered: Any, use: Any) -> None:
    remembered.cache_clear()
    use("a" * 100_000)
    assert remembered.cache_info().currsize == 0
    use("a")
    assert remembered.cache_info().currsize == 1


def test_what_is_remembered_of_many_keys_is_small() -> None:
    murmur2._ones.cache_clear()
    keys = [b"%06d" % number for number in range(50_000)]
    assert murmur2.murmur2_all(keys)[::997] == [murmur2.murmur2(key) for key in keys[::997]]
    sizes = [murmur2._ones(count).bit_length() // 8 for count in (1024, 50_000 % 1024)]
    assert murmur2._ones.cache_info().misses == 2
    assert max(sizes) <= 8 * 1024
