"""The whole HTTP API on one port: the edge, and beside it the queries. `python -m deploy.api`, settings as for both."""

import sys

from pydantic import ValidationError

from ingest_api.__main__ import main as serve
from ingest_api.app import EdgeApp
from query_api.app import add_queries
from query_api.settings import QuerySettings
from schemas.metrics import registry_of


def main() -> int:
    """Serve until a signal; the exit code, 2 where a setting is faulty."""
    try:
        settings = QuerySettings()
    except ValidationError as faults:
        for fault in faults.errors():
            name = f"FEEDBACK_{fault['loc'][0]}".upper()
            got = "" if "SECRET" in name else f", got {fault['input']}"
            print(f"{name}: {fault['msg']}{got}.", file=sys.stderr)
        return 2

    return serve(lambda app: extend(app, settings))


def extend(app: EdgeApp, settings: QuerySettings) -> None:
    """Make the whole API of an edge."""
    add_queries(app, settings, app.api_keys)
    app.registry = registry_of("edge", "query")


if __name__ == "__main__":
    sys.exit(main())
