"""The whole system behind the pages: one API process and one worker on embedded engines.

API keys close it, so that each test has a workspace of its own.
"""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import requests

from deploy.kafka.broker import free_ports
from operations.api_keys.stored_keys import publish, store
from operations.command_options import ROLLUP_GROUP
from operations.erase.events import wait_until_committed
from operations.produce import OutgoingRecord, send
from operations.progress import Progress
from schemas.api_keys import ApiKey, new_key
from schemas.key_scopes import Scope
from schemas.topics import INPUTS, ROLLUP_INVALIDATIONS
from tests.pipeline.engines import Engines, until
from tests.pipeline.running import Pipeline

Json = dict[str, Any]
T = TypeVar("T")
_AT_ONCE = 12
"""How many workspaces are made together: to keep one key alone takes 50 ms of CPU, most of it for a connection."""


class DashboardSystem(Pipeline):
    """A running pipeline that makes workspaces. Pages of `page_origin` may vote."""

    def __init__(self, engines: Engines, folder: Path) -> None:
        super().__init__(engines, folder)
        (self.page_port,) = free_ports(1)
        self.page_origin = f"http://127.0.0.1:{self.page_port}"
        self.settings = {"FEEDBACK_BROWSER_ORIGINS": self.page_origin}
        self._unused: defaultdict[tuple[Scope, ...], list[Workspace]] = defaultdict(list)

    def workspace(self, *scopes: Scope) -> "Workspace":
        """A workspace that nothing else uses, with a key of these scopes, else of all."""
        unused = self._unused[scopes]
        if not unused:
            unused += self._keys_in([f"browser-{uuid.uuid4().hex[:12]}" for _ in range(_AT_ONCE)], *scopes)
        return unused.pop()

    def key_in(self, name: str, *scopes: Scope) -> "Workspace":
        """One more key of a workspace, as soon as the API knows it."""
        (made,) = self._keys_in([name], *scopes)
        return made

    def _keys_in(self, names: Sequence[str], *scopes: Scope) -> list["Workspace"]:
        """A new key in each of these workspaces, as soon as the API knows all."""
        keys = [(name, *new_key(name, scopes or ("admin",), datetime.now(UTC))) for name in names]
        made = [Workspace(self, *each) for each in keys]
        self._keep(*(each.record for each in made))
        for each in made:
            until(each.is_known, "the key is known")
        return made

    def revoke(self, workspace: "Workspace") -> None:
        """Revoke a key, and wait until the API refuses it."""
        self._keep(workspace.record.revoked(datetime.now(UTC)))
        until(lambda: workspace.call("GET", "/v1/caller").status_code == 401, "the key is refused")

    def _keep(self, *keys: ApiKey) -> None:
        store(self.sql_client, *keys)
        apart(asyncio.run, publish(self.engines.kafka, keys))

    def fill(self, records: Sequence[OutgoingRecord]) -> None:
        """Send events past the edge, and wait until they are stored, and their hours and days computed."""
        apart(asyncio.run, send(self.engines.kafka, records, "events sent", Progress()))
        for group, topics in (("feedback-workers", INPUTS), (ROLLUP_GROUP, (ROLLUP_INVALIDATIONS,))):
            apart(asyncio.run, wait_until_committed(self.engines.kafka, group, 180, Progress(), topics))


@dataclass(frozen=True)
class Workspace:
    """A workspace as an app with one of its keys uses it."""

    system: DashboardSystem
    name: str
    key: str
    record: ApiKey

    def is_known(self) -> bool:
        """Whether the API knows the key: one that knows no key yet answers anyone, of the workspace `default`."""
        return bool(self.call("GET", "/v1/caller").json().get("workspace") == self.name)

    def call(self, method: str, path: str, body: Any = None, **params: str) -> requests.Response:
        headers = {"x-portkey-api-key": self.key}
        return requests.request(method, self.system.url + path, json=body, params=params, headers=headers, timeout=60)

    def send(self, path: str, body: Any) -> list[str]:
        """Send and insist on acceptance; the ids."""
        reply = self.call("POST", path, body)
        assert reply.status_code == 200, reply.text
        answer = reply.json()
        ids: list[str] = answer.get("feedback_ids") or answer["ids"]
        return ids

    def log(self, *bodies: Json) -> list[str]:
        """Log requests and wait until they can be read."""
        ids = self.send("/v1/logs", list(bodies))
        self._wait_for_rows("request_log_rows", "request_id", ids)
        return ids

    def rate(self, trace_id: str, value: int, weight: float = 1.0, **metadata: Any) -> str:
        """Send feedback and wait until it can be read; its id."""
        (identity,) = self.rate_all({"trace_id": trace_id, "value": value, "weight": weight, "metadata": metadata})
        return identity

    def rate_all(self, *bodies: Json) -> list[str]:
        """As `rate`, for many in one call."""
        ids = self.send("/v1/feedback", list(bodies))
        self._wait_for_rows("feedback_rows", "feedback_id", ids)
        return ids

    def _wait_for_rows(self, table: str, key: str, ids: list[str]) -> None:
        """Wait for the rows from which the API answers, all by one question: one to the API takes ten times as long."""
        place = f"feedback.{table} WHERE workspace = {{w:String}} AND {key} IN {{ids:Array(UUID)}}"
        until(
            lambda: self.system.count(f"SELECT uniqExact({key}) FROM {place}", w=self.name, ids=ids) == len(ids),
            f"the rows are in {table}",
        )


def request_log(trace_id: str, *, model: str = "gpt-4o", said: str = "Hello", **metadata: Any) -> Json:
    """The body of a logged chat."""
    answer = {"choices": [{"message": {"role": "assistant", "content": f"Answer to {said}"}}]}
    return {
        "request": {
            "url": "https://provider.example/v1/chat/completions",
            "provider": "openai",
            "body": {"model": model, "messages": [{"role": "user", "content": said}]},
        },
        "response": {
            "status": 200,
            "response_time": 412,
            "body": {**answer, "usage": {"prompt_tokens": 7, "completion_tokens": 13, "total_tokens": 20}},
        },
        "metadata": {"trace_id": trace_id, **metadata},
    }


def apart(function: Callable[..., T], *arguments: Any) -> T:
    """What a function that runs a loop gives: the browser's driver has one in this thread already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(function, *arguments).result()
