"""The admin part of the HTTP API: what an operator's commands tell and do, for callers with the scope `admin`.

A key is good for one workspace, and so is `admin`: dead letters, keys and waiting feedback are the caller's own.
The pipeline is one for all workspaces; of it there are numbers, and nothing of what anybody has sent.
"""

from fastapi import FastAPI

from deploy import admin_dead_letters, admin_keys, admin_pipeline
from deploy.admin_commands import Commands
from deploy.admin_settings import AdminSettings
from query_api.settings import QuerySettings
from schemas.api_key_store import ApiKeyStore


def add_admin(app: FastAPI, settings: QuerySettings, keys: ApiKeyStore) -> None:
    """Add the routes to an app that has the queries and these keys."""
    commands = Commands(settings, AdminSettings())
    for router in (
        admin_pipeline.create_router(commands),
        admin_dead_letters.create_router(commands),
        admin_keys.create_router(commands, keys),
    ):
        app.include_router(router)
