"""An edge with faults: one endpoint of each kind raises what it was sent."""

import sys
from typing import Any

from ingest_api.__main__ import main
from ingest_api.http.dialects import Dialect


def extend(app: Any) -> None:
    def decide(path: str, headers: Any, body: Any, caller: Any) -> Any:
        raise KeyError(path, dict(headers), body)

    faulty = Dialect(decide, lambda accepted: b"")
    app.publishing["/v1/logs"].by_method["POST"]._dialect_of = lambda headers: faulty

    @app.get("/fault/{name}")
    async def fault(name: str) -> None:
        int(name)


if __name__ == "__main__":
    sys.exit(main(extend))
