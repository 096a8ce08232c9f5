"""An edge with the packages of its own set alone: requirements/edge.txt, of which an edge's image is made."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.engines import REPOSITORY
from tests.pipeline.ingest_api.edge_fixtures import Broker, Edge

# It refuses to import whatever comes from a package that the set does not name.
_WITH_THE_SET_ALONE = """
import re, sys
from importlib.metadata import packages_distributions
named = set(re.findall(r"^([a-z0-9.-]+)==", open(sys.argv[1]).read(), re.MULTILINE)) | {"feedback-api"}
providers = packages_distributions()

class NamedAlone:
    def find_spec(self, name, path=None, target=None):
        of = {each.lower().replace("_", "-") for each in providers.get(name.partition(".")[0], ())}
        if of and not of & named:
            raise ModuleNotFoundError(f"{name} comes from {of}, which is not in the set", name=name)

sys.meta_path.insert(0, NamedAlone())
sys.argv[1:] = ["edge"]
from deploy.cli import main
sys.exit(main())
"""


class EdgeAlone(Edge):
    argv = (sys.executable, "-c", _WITH_THE_SET_ALONE, str(REPOSITORY / "requirements" / "edge.txt"))


@pytest.fixture
def edge(broker: Broker, tmp_path: Path) -> Iterator[EdgeAlone]:
    running = EdgeAlone(tmp_path, broker.bootstrap)
    running.until_ready()
    yield running
    running.kill()


def test_an_edge_needs_no_package_of_the_other_roles(edge: EdgeAlone) -> None:
    assert edge.saved({"trace_id": "t-1", "value": 1})
    assert edge.get("/metrics").status_code == edge.get("/docs").status_code == 200
