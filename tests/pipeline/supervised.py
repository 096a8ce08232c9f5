"""A real `feedback up` of a test's own: started on free ports, watched, and never left behind."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from deploy.kafka.broker import free_ports
from runtime.clickhouse_address import ADDRESS_FILE
from tests.pipeline.engines import put_tables, until

ENGINES = ("FEEDBACK_KAFKA_BOOTSTRAP", "FEEDBACK_CLICKHOUSE_URL")


def port_with_a_free_neighbour() -> int:
    """Apache Kafka's controller takes the port after the broker's."""
    while True:
        (port,) = free_ports(1)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port + 1)):
            return port


class Up:
    """One `feedback up` of the test's own, on free ports."""

    def __init__(self, data_dir: Path, *options: str, environment: dict[str, str] | None = None) -> None:
        self.data_dir, self.options = data_dir, options
        self.environment = {k: v for k, v in os.environ.items() if k not in ENGINES} | (environment or {})
        if "kafka" not in options:
            # The embedded broker lets whoever joins a group wait for half of this time.
            self.environment.setdefault("FEEDBACK_SESSION_TIMEOUT_S", "3")
        self.port, self.clickhouse_port = free_ports(2)
        self.kafka_port = port_with_a_free_neighbour()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = data_dir.with_name(f"{data_dir.name}-output")
        self.errors = data_dir.with_name(f"{data_dir.name}-errors")
        self.key = ""

    @property
    def where(self) -> list[str]:
        """What tells an operator's command where its engines are."""
        return ["--clickhouse-url", self.clickhouse_url, "--bootstrap", f"127.0.0.1:{self.kafka_port}"]

    @property
    def clickhouse_url(self) -> str:
        """With its password, once it has been started."""
        return (self.data_dir / "clickhouse" / ADDRESS_FILE).read_text().strip()

    def start(self) -> None:
        ports = {"--port": self.port, "--clickhouse-port": self.clickhouse_port, "--kafka-port": self.kafka_port}
        argv = [sys.executable, "-m", "deploy.cli", "up", "--data-dir", str(self.data_dir), *self.options]
        for option, port in ports.items():
            if option not in self.options:
                argv += [option, str(port)]
        with self.output.open("wb") as output, self.errors.open("wb") as errors:
            self.process = subprocess.Popen(argv, env=self.environment, stdout=output, stderr=errors, process_group=0)

    def start_and_wait(self, *, has_tables: bool = True) -> "Up":
        """A new folder has the tables before it starts, which takes it less time, or else makes them."""
        if has_tables and not self.data_dir.exists():
            put_tables(self.data_dir / "clickhouse")
        self.start()
        until(lambda: self.ready_lines() or self.process.poll() is not None, "feedback up is ready")
        assert self.process.poll() is None, self.errors.read_text()
        return self

    def ready_lines(self) -> list[str]:
        text = self.output.read_text()
        return text.splitlines() if text.endswith("\n") and "curl" in text else []

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)

    def press_ctrl_c(self) -> None:
        """As a terminal does: the signal goes to the whole process group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def refusal(self) -> str:
        """What it says when it will not start; it must end by itself, with 1."""
        self.start()
        assert self.process.wait(60) == 1, self.errors.read_text()
        assert self.output.read_text() == ""
        return self.errors.read_text()

    def children(self) -> dict[int, str]:
        """Process ids of the supervised programs, and what each runs."""
        lines = {pid: command_line(pid) for pid in children_of(self.process.pid)}
        return {pid: line for pid, line in lines.items() if line}

    def child(self, words: str) -> int:
        """The process id of the program that runs this module or binary; 0 where there is none."""
        named = re.compile(re.escape(words) + r"(?![.\w])")
        (pid,) = [pid for pid, line in self.children().items() if named.search(line)] or [0]
        return pid

    def until_replaced(self, words: str, former: int) -> None:
        """Return when another process than the former runs this module or binary."""
        until(lambda: self.child(words) not in (0, former), f"{words} is another process")

    def post(self, trace: str, count: int = 1) -> str:
        """Send so many feedbacks on this trace and insist on acceptance; the id of the first."""
        body = [{"trace_id": trace, "value": 5}] * count
        headers = {"x-portkey-api-key": self.key}
        reply = requests.post(f"{self.url}/v1/feedback", json=body, headers=headers, timeout=30)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["feedback_ids"][0])

    def status(self, key: str = "") -> int:
        """What a call with this key is answered; 0 where nobody answers."""
        try:
            headers, body = {"x-portkey-api-key": key}, {"trace_id": "status", "value": 1}
            return requests.post(f"{self.url}/v1/feedback", json=body, headers=headers, timeout=30).status_code
        except requests.RequestException:
            return 0

    def read_status(self, key: str = "") -> int:
        """What a question with this key is answered."""
        return requests.get(f"{self.url}/v1/feedback", headers={"x-portkey-api-key": key}, timeout=30).status_code

    def accepts(self, trace: str) -> bool:
        try:
            self.post(trace)
        except (requests.RequestException, AssertionError):
            return False
        return True

    def stored(self, trace: str) -> int:
        """How many feedbacks of this trace are stored; 0 while ClickHouse does not answer."""
        try:
            return stored(self.clickhouse_url, trace)
        except requests.RequestException:
            return 0

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False


def stored(clickhouse_url: str, trace: str) -> int:
    return number(clickhouse_url, f"SELECT count() FROM feedback.feedback WHERE trace_id = '{trace}'")


def number(clickhouse_url: str, query: str) -> int:
    """The one number that a query answers with."""
    # Not by a client, which asks ClickHouse about itself first: this is asked often.
    reply = requests.post(clickhouse_url, data=query, timeout=30)
    reply.raise_for_status()
    return int(reply.text)


def command_line(pid: int) -> str:
    """What a process runs; empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def children_of(pid: int) -> list[int]:
    """The processes that another has started by its main thread."""
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # it is gone, or this kernel has no such file
        return [int(each.name) for each in Path("/proc").glob("[0-9]*") if parent(int(each.name)) == pid]


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def environment_of(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


Starter = Callable[..., Up]


@contextmanager
def starter(folder: Path) -> Iterator[Starter]:
    made: list[Up] = []

    def make(name: str = "data", *options: str, environment: dict[str, str] | None = None) -> Up:
        made.append(Up(folder / name, *options, environment=environment))
        return made[-1]

    yield make
    for each in made:
        if hasattr(each, "process") and each.process.poll() is None:
            each.process.kill()
            each.process.wait()
