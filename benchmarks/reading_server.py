"""The server that `benchmarks.reading` asks: the embedded ClickHouse over a folder, and the HTTP API over it."""

import asyncio
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clickhouse_connect

from benchmarks.engines import Child, Engines, answers, running, until
from benchmarks.reading_values import Case
from deploy.embedded import broker
from deploy.embedded.clickhouse_address import keep_address
from deploy.kafka.broker import free_ports
from operations.topics import create_topics

_LOOKS_AT_REST = 5


@dataclass(frozen=True)
class Server:
    """ClickHouse over a folder and the API over it, where they listen."""

    folder: Path
    clickhouse: str
    clickhouse_port: int
    kafka: str
    api_port: int

    @contextmanager
    def engine(self) -> Iterator[Child]:
        """ClickHouse, until the end of the block."""
        argv = [sys.executable, "-m", "deploy.embedded.clickhouse_http", "--port", str(self.clickhouse_port)]
        with running([*argv, "--data-dir", str(self.folder)]) as child:
            until(lambda: answers(f"http://127.0.0.1:{self.clickhouse_port}/ping"), "ClickHouse answers", child=child)
            yield child
            child.terminate(300)

    @contextmanager
    def api(self) -> Iterator[None]:
        """The HTTP API, until the end of the block."""
        found = Engines(self.kafka, self.clickhouse)
        settings = {
            **found.environment,
            "FEEDBACK_PORT": str(self.api_port),
            "FEEDBACK_READ_RATE_LIMIT_PER_S": "0",
            "FEEDBACK_QUERY_TIMEOUT_S": "300",
            "FEEDBACK_ANALYTICS_TIMEOUT_S": "300",
            "FEEDBACK_RECEIPT_TIMEOUT_S": "60",
        }
        with running([sys.executable, "-m", "deploy.api"], None, settings) as child:
            until(lambda: answers(f"{self.url}/readyz"), "the API is ready", child=child)
            yield

    @property
    def url(self) -> str:
        """Where the API and the dashboard are."""
        return f"http://127.0.0.1:{self.api_port}"

    def client(self) -> Any:
        return clickhouse_connect.get_client(dsn=self.clickhouse, send_receive_timeout=3600, query_limit=0)

    def ask(self, case: Case) -> tuple[float, bool]:
        """Milliseconds until the whole answer is here, and whether it says anything. RuntimeError for a refusal."""
        began = time.perf_counter()
        try:
            with urllib.request.urlopen(f"{self.url}{case.path}", timeout=120) as reply:
                answer = json.load(reply)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{case.path}: {error.code} {error.read().decode()[:300]}") from error
        took = (time.perf_counter() - began) * 1000
        return took, any(answer.get(name) for name in ("data", "data_points", "id", "spans", "current"))

    def until_at_rest(self) -> None:
        """Until ClickHouse runs no statement: the API may compute something after its answer."""
        client, looks = self.client(), 0
        while looks < _LOOKS_AT_REST:
            running = "SELECT count() FROM system.processes WHERE query NOT LIKE '%system.processes%'"
            looks = 0 if client.command(running) else looks + 1
            time.sleep(0.02)

    def drop_file_cache(self) -> None:
        """Have the system drop the folder's files from memory."""
        os.sync()
        for file in self.folder.rglob("*"):
            with suppress(OSError), file.open("rb") as opened:
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """Addresses of a server over the folder, with a broker that holds the topics."""
    kafka_port, clickhouse_port, api_port = free_ports(3)
    kafka = f"127.0.0.1:{kafka_port}"
    with running(broker.command("127.0.0.1", kafka_port)):
        asyncio.run(broker.wait_until_ready(kafka))
        asyncio.run(create_topics(kafka, 8))
        yield Server(
            folder, keep_address(folder, "127.0.0.1", clickhouse_port), clickhouse_port, kafka, api_port
        )  # fmt: skip
