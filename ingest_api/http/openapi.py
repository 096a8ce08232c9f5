"""The OpenAPI document: FastAPI's for its own routes, with the operations of the publishing endpoints added."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from ingest_api.http.openapi_operations import TYPES, operations
from ingest_api.http.openapi_responses import FOREIGN, described
from ingest_api.settings import Settings
from runtime.http_errors import error_content

SECURITY_SCHEMES = {
    "key": {"type": "apiKey", "in": "header", "name": "x-portkey-api-key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}


def openapi_schema(app: FastAPI, settings: Settings) -> dict[str, Any]:
    """The whole document."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary="Weighted feedback for any request an app has served, joined by trace id.",
        routes=app.routes,
    )
    mode: JsonSchemaMode = "validation"
    _, schemas = TypeAdapter.json_schemas(
        [(each, mode, TypeAdapter(each)) for each in TYPES], ref_template="#/components/schemas/{model}"
    )
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(schemas["$defs"])
    # No key is needed while the server is open.
    components["securitySchemes"] = SECURITY_SCHEMES
    document["security"] = [{"key": []}, {"bearer": []}, {}]
    _remove_unused_responses(document)
    foreign = described(
        f"{FOREIGN}.", "Failure", error_content(403, "the request comes from a web page of another origin")
    )
    for operation in (each for methods in document["paths"].values() for each in methods.values()):
        operation["responses"].setdefault("403", foreign)
    for path, methods in operations(settings).items():
        document["paths"].setdefault(path, {}).update(methods)
    return document


def _remove_unused_responses(document: dict[str, Any]) -> None:
    """Remove the 422 that FastAPI adds where parameters are declared: the edge answers such faults with a 400."""
    for operation in (each for methods in document["paths"].values() for each in methods.values()):
        operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
