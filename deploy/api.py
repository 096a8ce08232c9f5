"""The whole HTTP API on one port, and the dashboard over it. `python -m deploy.api`."""

import logging
import sys

from dashboard.api_client import ApiClient
from dashboard.app import dashboard_routes
from ingest_api.__main__ import main as serve
from ingest_api.http.edge_app import EdgeApp
from operations.admin_api.routes import add_admin
from query_api.app import add_queries
from query_api.settings import ANY_ADDRESS, QuerySettings
from runtime.metrics_registry import registry_of
from runtime.no_pandas import hide_pandas
from runtime.settings_errors import load_or_print

log = logging.getLogger(__name__)


def main() -> int:
    """Serve until a signal; the exit code, 2 where a setting is faulty."""
    settings = load_or_print(QuerySettings)
    if settings is None:
        return 2
    hide_pandas()
    return serve(lambda app: extend(app, settings))


def extend(app: EdgeApp, settings: QuerySettings) -> None:
    """Add the queries, the admin routes and the dashboard to an edge."""
    if settings.host in ANY_ADDRESS and not settings.public_url:
        log.warning("Addresses of exported files begin with %s: others need a FEEDBACK_PUBLIC_URL.", settings.address)
    add_queries(app, settings, app.api_keys)
    add_admin(app, settings, app.api_keys)
    app.router.routes.extend(dashboard_routes(ApiClient(app=app), settings.address))
    app.registry = registry_of("edge", "query")


if __name__ == "__main__":
    sys.exit(main())
