"""The pages about the HTTP API leave out none of its routes."""

import re
from pathlib import Path

from tests.unit.whole_api import described_api

DOCS = Path(__file__).parents[2] / "docs"
PAGES = "\n".join((DOCS / name).read_text() for name in ("api.md", "analytics.md", "exports.md"))


def path_in_tables(path: str) -> str:
    """A path as the pages write it: `{id}` for every id, and without what the rows of a table have in common."""
    path = re.sub(r"\{(feedback|log|export)_id\}", "{id}", path)
    return re.sub(r"^/v1/analytics/(graphs|groups)/|^/v1/logs/exports(?=/\{id\})", "", path)


def test_the_pages_name_every_route() -> None:
    missing = []
    for path in described_api().app.openapi()["paths"]:
        named = path_in_tables(path)
        before = "" if named.startswith("/") else "[/`]"
        if not re.search(rf"{before}{re.escape(named)}(?![\w/-])", PAGES):
            missing.append(path)
    assert missing == []
