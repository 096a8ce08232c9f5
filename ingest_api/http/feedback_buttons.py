"""Serves `/feedback-buttons.js`, the web component that pages vote with, as it stands in `clients/browser`.

Any page may run it. A page of an origin that may vote may also read it, and so check it by `integrity`.
"""

import hashlib
from collections.abc import Collection
from importlib.resources import files

from fastapi import FastAPI, Request
from fastapi.responses import Response

from runtime.request_origin import Origin, parsed_origin

PATH = "/feedback-buttons.js"
_HEADERS = {
    "cache-control": "public, max-age=3600",
    "cross-origin-resource-policy": "cross-origin",
    "vary": "origin",
    "x-content-type-options": "nosniff",
}


def add_feedback_buttons(app: FastAPI, origins: Collection[Origin]) -> None:
    """Add the file to an app; pages of these origins may read it."""
    script = (files("ingest_api.http") / "feedback-buttons.js").read_bytes()
    tag = f'"{hashlib.sha256(script).hexdigest()[:32]}"'

    @app.get(PATH, include_in_schema=False)
    async def feedback_buttons(request: Request) -> Response:
        headers = {**_HEADERS, "etag": tag}
        origin = request.headers.get("origin")
        if origin is not None and parsed_origin(origin.encode("latin-1")) in origins:
            headers["access-control-allow-origin"] = origin
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(script, headers=headers, media_type="text/javascript")
