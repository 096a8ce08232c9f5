"""A one-node Apache Kafka (KRaft, broker and controller in one JVM) on loopback ports, without Docker.

Promises that a data directory is formatted once and keeps its records and committed offsets through any crash of the
process, and that a broker which cannot start says why. A supervisor uses `prepare` and `command` and runs the process
itself; `KafkaBroker` runs it as a child process. The caller creates the topics: none is created by use.
"""

import asyncio
import base64
import contextlib
import fcntl
import random
import socket
import subprocess
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from deploy.kafka.jars import LIBS, KafkaError, ensure_jars, java
from runtime.folder_errors import why_unusable
from runtime.kafka_admin import broker_answers
from runtime.listen_addresses import cannot_listen

HOST = "127.0.0.1"
_FREE_PORTS = (15_000, 32_000)
_HELD: list[socket.socket] = []
LOGGING = Path(__file__).with_name("log4j2.properties")


def server_properties(data_dir: Path, port: int, controller_port: int, advertised_port: int | None = None) -> str:
    """The broker's configuration file: one node, so every internal topic has one replica and few partitions.

    Clients are told to connect to `advertised_port`: the port of the broker, or that of a proxy before it.
    """
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "listeners": f"BROKER://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"BROKER://{HOST}:{advertised_port or port}",
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "BROKER",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.bootstrap.servers": f"{HOST}:{controller_port}",
        "log.dirs": str(_log_dir(data_dir).absolute()),
        # After a crash the controller refuses the broker until its former session has expired (9 s by default).
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        # The controller would write an empty record twice a second, for others to see that it lives: there are none.
        "metadata.max.idle.interval.ms": "0",
        # Allocated at start; the default, 128 MiB, is a quarter of the heap.
        "log.cleaner.dedupe.buffer.size": str(16 << 20),
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def command(data_dir: Path, heap: str = "512m") -> list[str]:
    """The argv of a broker on a prepared directory; `heap` is its upper limit in Java's notation (512m, 2g)."""
    return [*_jvm(heap), "kafka.Kafka", str(_properties(data_dir).absolute())]


def prepare(data_dir: Path, port: int, controller_port: int, advertised_port: int | None = None) -> None:
    """Fetch the jars, write the configuration, and format the directory if it is new. Blocks for a second or two.

    KafkaError where Java or Maven is missing, a port is taken, or the directory is in use or cannot be used.
    """
    java()
    for wanted in (port, controller_port):
        _refuse_taken_port(wanted)
    ensure_jars()
    _refuse_unfit_directory(data_dir)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        _properties(data_dir).write_text(server_properties(data_dir, port, controller_port, advertised_port))
    except OSError as error:
        raise KafkaError(f"Kafka cannot keep its data in {data_dir}: {why_unusable(data_dir, error)}.") from None
    # Kafka writes meta.properties last, so its presence means that formatting was finished.
    if not (_log_dir(data_dir) / "meta.properties").exists():
        _format(data_dir)


async def wait_until_ready(
    bootstrap: str, deadline: float = 60.0, died: Callable[[], str | None] = lambda: None
) -> None:
    """Return once the broker at `bootstrap` lists itself as live in its metadata; KafkaError after `deadline` seconds.

    `died` is called between attempts. If it returns a reason, the wait ends at once with that reason.
    """
    try:
        async with asyncio.timeout(deadline):
            while not await broker_answers(bootstrap):
                if reason := died():
                    raise KafkaError(reason)
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise KafkaError(f"Kafka at {bootstrap} was not ready within {deadline:g} s: look into its log.") from None


def free_ports(count: int) -> list[int]:
    """Different loopback ports that are free now, and that are given to nobody else while this process lives.

    They lie below the range of outgoing connections, one of which might otherwise take a port before the server does.
    Each stays bound by a socket that does not listen, beside which a server with SO_REUSEADDR may: only the choice of
    other processes is kept from it.
    """
    # Tests seed the common random source, with which all processes would choose the same ports.
    chance, found = random.SystemRandom(), list[socket.socket]()
    while len(found) < count:
        held = socket.socket()
        try:
            held.bind((HOST, chance.randrange(*_FREE_PORTS)))
        except OSError:
            held.close()
            continue
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.append(held)
    _HELD.extend(found)
    return [held.getsockname()[1] for held in found]


@dataclass
class KafkaBroker:
    """A broker as a child process. A port of 0 becomes a free one at the first start and stays for later starts."""

    data_dir: Path
    port: int = 0
    controller_port: int = 0
    advertised_port: int | None = field(default=None, kw_only=True)
    heap: str = field(default="512m", kw_only=True)
    deadline: float = field(default=60.0, kw_only=True)
    process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def bootstrap(self) -> str:
        """The address for clients, `127.0.0.1:PORT`; valid after the start."""
        return f"{HOST}:{self.port}"

    @property
    def log(self) -> Path:
        """The warnings and errors of the latest start."""
        return self.data_dir / "broker.log"

    def start(self) -> None:
        """Start, and return when clients can connect. KafkaError with the reason if it does not start."""
        free = free_ports(2)
        self.port = self.port or free[0]
        self.controller_port = self.controller_port or free[1]
        prepare(self.data_dir, self.port, self.controller_port, self.advertised_port)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command(self.data_dir, self.heap), stdout=log, stderr=log)
        # In a separate thread, because the caller may run in an event loop.
        with ThreadPoolExecutor(1) as thread:
            waiting = wait_until_ready(self.bootstrap, self.deadline, self.why_ended)
            try:
                thread.submit(asyncio.run, waiting).result()
            except BaseException:
                self.kill()
                raise

    def wait(self) -> None:
        """Wait until the broker has ended."""
        if self.process is not None:
            self.process.wait()

    def stop(self, deadline: float = 20.0) -> None:
        """Shut down cleanly; kill after `deadline` seconds."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill the broker with SIGKILL, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def why_ended(self) -> str | None:
        """Why the started broker has ended, in one sentence; None while it runs."""
        if self.process is None or self.process.poll() is None:
            return None
        why = failure_reason(self.log.read_text(errors="replace"))
        return f"Kafka ended with exit code {self.process.returncode}: {why} (log: {self.log})"


def failure_reason(log: str) -> str:
    """The last line of a JVM's output that is not a stack frame, preferring the innermost cause."""
    noise = ("\t", "Error: Could not create the Java Virtual Machine", "Error: A fatal exception has occurred")
    lines = [line.strip() for line in log.splitlines() if line.strip() and not line.startswith(noise)]
    causes = [line for line in lines if line.startswith("Caused by:")]
    return (causes or lines or ["it printed nothing"])[-1].removeprefix("Caused by:").strip()


def _jvm(heap: str) -> list[str]:
    return [
        "java",
        "-Xms256m",
        f"-Xmx{heap}",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={LOGGING}",
        "-cp",
        f"{LIBS}/*",
    ]


def _format(data_dir: Path) -> None:
    # Kafka's ids are 16 bytes in base64; a leading "-" would look like an option, so neither sign is used.
    cluster_id = base64.b64encode(uuid.uuid4().bytes, altchars=b"AB").decode().rstrip("=")
    tool = [*_jvm("512m"), "kafka.tools.StorageTool", "format", "--standalone", "-t", cluster_id]
    run = subprocess.run(
        [*tool, "-c", str(_properties(data_dir))],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise KafkaError(f"Kafka could not format {data_dir}: {failure_reason(run.stdout)}")


def _refuse_taken_port(port: int) -> None:
    if cannot_listen(HOST, port):
        raise KafkaError(f"Port {port} on {HOST} is in use: stop what listens there or choose another port for Kafka.")


def _refuse_unfit_directory(data_dir: Path) -> None:
    if "," in str(data_dir.absolute()):
        raise KafkaError(f"Kafka would read {data_dir} as two directories: choose a path without a comma.")
    # Kafka locks its directory too, but only after it has begun to write to the metadata log in it.
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), (_log_dir(data_dir) / ".lock").open("r+") as held:
        try:
            fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise KafkaError(f"Another Kafka is running on {data_dir}: stop it or choose another directory.") from None


def _properties(data_dir: Path) -> Path:
    return data_dir / "server.properties"


def _log_dir(data_dir: Path) -> Path:
    return data_dir / "log"
