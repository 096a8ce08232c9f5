"""A caller of the export routes."""

from typing import Any

import requests

from tests.pipeline.engines import until

Reply = dict[str, Any]


class Exports:
    """The exports of one API."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/v1/logs/exports"

    def call(self, method: str, path: str = "", body: Any = None) -> requests.Response:
        return requests.request(method, self.url + path, json=body, timeout=60)

    def answered(self, method: str, path: str = "", body: Any = None) -> Reply:
        reply = self.call(method, path, body)
        assert reply.status_code == 200, reply.text
        answer: Reply = reply.json()
        return answer

    def order(self, **body: Any) -> str:
        return str(self.answered("POST", "", body)["id"])

    def started(self, **body: Any) -> str:
        export_id = self.order(**body)
        self.answered("POST", f"/{export_id}/start")
        return export_id

    def get(self, export_id: str) -> Reply:
        return self.answered("GET", f"/{export_id}")

    def until_status(self, export_id: str, status: str, seconds: float = 180) -> Reply:
        def ended() -> Reply | None:
            one = self.get(export_id)
            return one if one["status"] not in ("in_progress", "draft") or status == one["status"] else None

        until(ended, f"export {export_id} has ended", seconds)
        one = self.get(export_id)
        assert one["status"] == status, one
        return one

    def signed_url(self, export_id: str) -> str:
        return str(self.answered("GET", f"/{export_id}/download")["signed_url"])

    def downloaded(self, **body: Any) -> bytes:
        """Order, start, wait, download."""
        export_id = self.started(**body)
        self.until_status(export_id, "success")
        reply = requests.get(self.signed_url(export_id), timeout=60)
        assert reply.status_code == 200, reply.text
        return reply.content
