"""The admin part of the HTTP API: operators' commands for callers with the scope `admin`.

A key is valid for one workspace, and so is its scope `admin`: a caller sees the dead letters, keys and waiting feedback
of its own workspace. All workspaces share one pipeline; its status has counts only, and no data of callers.
"""

from fastapi import FastAPI

from operations.admin_api import api_keys, dead_letters, pipeline
from operations.admin_api.run_command import Commands
from operations.admin_api.settings import AdminSettings
from query_api.settings import QuerySettings
from runtime.api_key_store import ApiKeyStore


def add_admin(app: FastAPI, settings: QuerySettings, keys: ApiKeyStore) -> None:
    """Add the routes to an app that has the queries and these keys."""
    commands = Commands(settings, AdminSettings())
    for router in (
        pipeline.create_router(commands),
        dead_letters.create_router(commands),
        api_keys.create_router(commands, keys),
    ):
        app.router.routes.extend(router.routes)
