"""The page `/docs`: the OpenAPI document in Swagger UI, served completely from here.

Script, style and icon are Swagger UI's own (Apache-2.0), byte for byte, from the pinned package fastapi-swagger. So the
page works without a network. Its content security policy forbids requests to other hosts and inline scripts.
"""

from functools import partial
from importlib.resources import files

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Feedback API</title>
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript; <a href="openapi.json">openapi.json</a> says the same.</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
# The validator would send the document's address to its makers.
_START = """SwaggerUIBundle({ url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });
"""
_KINDS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
_HEADERS = {"content-security-policy": _POLICY, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
_CACHED_HEADERS = _HEADERS | {"cache-control": "public, max-age=3600"}


def add_docs_page(app: FastAPI) -> None:
    """Add the page, and the files that it loads, to an app."""

    @app.get("/docs", include_in_schema=False)
    async def page() -> Response:
        return HTMLResponse(_PAGE, headers=_HEADERS)

    @app.get("/docs/start.js", include_in_schema=False)
    async def start() -> Response:
        return Response(_START, headers=_CACHED_HEADERS, media_type="text/javascript")

    for name, kind in _KINDS.items():
        app.get(f"/docs/{name}", include_in_schema=False)(partial(_asset, name, kind))


async def _asset(name: str, kind: str) -> Response:
    content = (files("fastapi_swagger") / "resources" / name).read_bytes()
    return Response(content, headers=_CACHED_HEADERS, media_type=kind)
