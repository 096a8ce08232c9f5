"""All programs of a real installation as processes that can be killed: Kafka, ClickHouse, two edges, workers, rollups.

Clients of Kafka and of ClickHouse reach them through proxies. A program that ends by itself is started again, as a
supervisor would, and its last words are kept.
"""

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect

from deploy.embedded.clickhouse_address import keep_address
from deploy.kafka.broker import KafkaBroker, free_ports
from operations.topics import create_topics
from runtime.addresses import without_password
from tests.chaos.proxy import Proxy
from tests.pipeline.engines import Process, answers, put_tables, until

PARTITIONS = 8
SESSION_TIMEOUT_S = 6
_LAST_LINES = 15
WRITTEN = ("idempotency_keys", "journal", "feedback_rows", "trace_aggregate_rows", "request_log_rows")
"""The tables that every worker writes, in the order in which it does so first."""


class Watched(Process):
    """A process that is meant to run or meant to be down."""

    def __init__(self, name: str, argv: list[str], log: Path, environment: dict[str, str]) -> None:
        self.name = name
        self.wanted = True
        self.last_words: list[str] = []
        self.lock = threading.Lock()
        super().__init__(argv, log, environment)

    def go_down(self) -> None:
        with self.lock:
            self.wanted = False
            self.kill()

    def come_back(self) -> None:
        with self.lock:
            self.wanted = True
            if not self.running:
                self.start()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGCONT)

    def leave(self) -> None:
        """End in an orderly way, as at a deployment."""
        with self.lock:
            self.wanted = False
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
            self.kill()

    def revive(self) -> None:
        """Start it again if it should run and does not."""
        with self.lock:
            if self.wanted and not self.running:
                self.last_words.append("\n".join(self.log.read_text().splitlines()[-_LAST_LINES:]))
                self.start()


class System:
    """Everything, with ways to harm each part."""

    def __init__(self, folder: Path) -> None:
        (kafka_port, clickhouse_port, self.clickhouse_proxy_port, kafka_proxy_port, *self.edge_ports) = free_ports(6)
        self.broker = KafkaBroker(folder / "kafka", port=kafka_port, advertised_port=kafka_proxy_port, deadline=180)
        self.kafka_proxy = Proxy(kafka_proxy_port, kafka_port)
        self.clickhouse_proxy = Proxy(self.clickhouse_proxy_port, clickhouse_port)
        self.bootstrap = f"127.0.0.1:{kafka_proxy_port}"
        put_tables(folder / "clickhouse")
        self.clickhouse_url = keep_address(folder / "clickhouse", "127.0.0.1", clickhouse_port)
        self.broker.start()
        self.clickhouse = Watched(
            "clickhouse",
            [
                sys.executable, "-m", "deploy.embedded.clickhouse_http",
                "--port", str(clickhouse_port), "--data-dir", str(folder / "clickhouse"),
            ],
            folder / "clickhouse.log",
            {},
        )  # fmt: skip
        until(lambda: answers(f"{without_password(self.clickhouse_url)}/ping"), "ClickHouse answers")
        asyncio.run(create_topics(self.bootstrap, PARTITIONS))
        self._environment = {
            "FEEDBACK_KAFKA_BOOTSTRAP": self.bootstrap,
            "FEEDBACK_CLICKHOUSE_URL": self.clickhouse_url.replace(
                f":{clickhouse_port}", f":{self.clickhouse_proxy_port}"
            ),
            "FEEDBACK_SESSION_TIMEOUT_S": str(SESSION_TIMEOUT_S),
            "FEEDBACK_ROLLUP_INTERVAL_S": "1",
            "FEEDBACK_MAX_POLL_RECORDS": "2000",
        }
        self._folder = folder
        self.edges = [
            self._program(f"edge-{n}", "ingest_api", FEEDBACK_PORT=str(p)) for n, p in enumerate(self.edge_ports)
        ]
        self.workers = [self._program(f"worker-{n}", "stream_workers") for n in range(3)]
        self.rollup = self._program("rollup", "stream_workers.rollup.app")
        for port in self.edge_ports:
            until(lambda port=port: answers(f"http://127.0.0.1:{port}/readyz"), "an edge is ready")  # type: ignore[misc]

    def join_worker(self) -> Watched:
        """One more worker."""
        worker = self._program(f"worker-{len(self.workers)}", "stream_workers")
        self.workers.append(worker)
        return worker

    def refuse_rows(self, which: int) -> None:
        """ClickHouse answers and takes no rows for one of the workers' tables; returns when it has refused some."""
        table = WRITTEN[which % len(WRITTEN)]
        until(lambda: answers(f"{without_password(self.clickhouse_url)}/ping"), "ClickHouse answers")
        with clickhouse_connect.get_client(dsn=self.clickhouse_url) as client:

            def has_refused() -> int:
                self.revive()
                return int(client.command("SELECT sum(value) FROM system.errors WHERE name = 'TOO_MANY_PARTS'"))

            before = has_refused()
            client.command(f"ALTER TABLE feedback.{table} MODIFY SETTING max_parts_in_total = 1")
            until(lambda: has_refused() > before, f"ClickHouse has refused rows for {table}")

    def take_rows(self) -> None:
        """ClickHouse takes rows for every table."""
        with clickhouse_connect.get_client(dsn=self.clickhouse_url) as client:
            for table in WRITTEN:
                client.command(f"ALTER TABLE feedback.{table} RESET SETTING max_parts_in_total")

    def revive(self) -> None:
        """What a supervisor does: start again whatever has ended by itself."""
        for each in self.programs():
            each.revive()

    def programs(self) -> Iterator[Watched]:
        yield from (self.clickhouse, *self.edges, *self.workers, self.rollup)

    def mend(self) -> None:
        """Everything runs and all connections flow."""
        self.kafka_proxy.flow()
        self.clickhouse_proxy.flow()
        for each in self.programs():
            each.thaw()
            each.come_back()
        if self.broker.why_ended():
            self.broker.start()
        until(lambda: answers(f"{without_password(self.clickhouse_url)}/ping"), "ClickHouse answers")

    def close(self) -> None:
        for each in self.programs():
            each.thaw()
            each.go_down()
        self.broker.kill()
        self.kafka_proxy.close()
        self.clickhouse_proxy.close()

    def _program(self, name: str, module: str, **environment: str) -> Watched:
        argv = [sys.executable, "-m", module]
        return Watched(name, argv, self._folder / f"{name}.log", self._environment | environment)
