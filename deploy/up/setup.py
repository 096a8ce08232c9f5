"""What one machine runs and where it listens, derived from the options of `feedback up` and the environment."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter

from deploy.embedded.clickhouse_address import keep_address
from deploy.up.disk import disks_of
from deploy.up.options import Options
from operations.command_options import GROUP
from runtime.addresses import url_host

LOOPBACK = "127.0.0.1"


class Setup:
    """The addresses of the engines and the edge, and the environment of the programs.

    An engine whose address is in the environment is used, not started.
    """

    def __init__(self, options: Options, environment: Mapping[str, str]) -> None:
        self.options = options
        outside_kafka = environment.get("FEEDBACK_KAFKA_BOOTSTRAP")
        outside_clickhouse = environment.get("FEEDBACK_CLICKHOUSE_URL")
        self.runs_kafka, self.runs_clickhouse = not outside_kafka, not outside_clickhouse
        self.host = environment.get("FEEDBACK_HOST") or LOOPBACK
        self.bootstrap = outside_kafka or f"{LOOPBACK}:{options.kafka_port}"
        self.clickhouse_url = outside_clickhouse or keep_address(
            options.data_dir / "clickhouse", LOOPBACK, options.clickhouse_port
        )
        self.is_broker_embedded = self.runs_kafka and options.broker == "embedded"
        self.environment = {
            **environment,
            "FEEDBACK_HOST": self.host,
            "FEEDBACK_PORT": str(options.port),
            "FEEDBACK_KAFKA_BOOTSTRAP": self.bootstrap,
            "FEEDBACK_CLICKHOUSE_URL": self.clickhouse_url,
            "FEEDBACK_EXPORT_DIR": environment.get("FEEDBACK_EXPORT_DIR") or str(options.data_dir / "exports"),
            "FEEDBACK_CLOSED_MARK": environment.get("FEEDBACK_CLOSED_MARK") or str(options.data_dir / "closed"),
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
            # numpy would start a thread on each core, in vain, for a tenth of a second.
            "OPENBLAS_NUM_THREADS": environment.get("OPENBLAS_NUM_THREADS") or "1",
        }
        engines = ["clickhouse"] * self.runs_clickhouse + ["kafka"] * (self.runs_kafka and not self.is_broker_embedded)
        self.disks = disks_of(options.data_dir, engines, Path(self.environment["FEEDBACK_EXPORT_DIR"]).absolute())
        if self.is_broker_embedded:
            self.environment["FEEDBACK_KAFKA_IDEMPOTENCE"] = "false"
            # tansu lets a new member of a group wait for half of this time.
            self.environment.setdefault("FEEDBACK_SESSION_TIMEOUT_S", "6")

    @property
    def reachable_host(self) -> str:
        """The host by which this machine reaches the edge."""
        return _from_here(self.host)

    @property
    def metrics_host(self) -> str:
        """The host by which this machine reaches the stream programs."""
        return _from_here(self.environment.get("FEEDBACK_METRICS_HOST") or LOOPBACK)

    @property
    def consumer_group(self) -> str:
        """The Kafka group of the workers."""
        return self.environment.get("FEEDBACK_CONSUMER_GROUP") or GROUP

    @property
    def closed_mark(self) -> Path:
        """The file that remembers that API keys have closed the server."""
        return Path(self.environment["FEEDBACK_CLOSED_MARK"])

    @property
    def requires_keys(self) -> bool:
        """Whether every call needs a key, even if there is none."""
        return TypeAdapter(bool).validate_python(self.environment.get("FEEDBACK_REQUIRE_KEYS") or "false")

    @property
    def runs_gateway(self) -> bool:
        """Whether a gateway has somewhere to pass calls on to."""
        upstreams = ("FEEDBACK_GATEWAY_UPSTREAM", "FEEDBACK_GATEWAY_ALLOWED_UPSTREAMS")
        return any(self.environment.get(name) for name in upstreams)

    @property
    def gateway_environment(self) -> dict[str, str]:
        """The environment of the gateway, which logs to the edge that runs here, and not by way of a proxy."""
        host = url_host(self.reachable_host)
        direct = filter(None, (self.environment.get("NO_PROXY") or self.environment.get("no_proxy"), host))
        return {
            **self.environment,
            "FEEDBACK_URL": f"http://{host}:{self.options.port}",
            **dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(direct)),
        }

    def with_offset_base(self, base: int | None) -> dict[str, str]:
        """The environment of the programs that use offsets."""
        return self.environment if base is None else {**self.environment, "FEEDBACK_OFFSET_BASE": str(base)}


def _from_here(host: str) -> str:
    """The host by which this machine reaches a program that listens on this address."""
    return LOOPBACK if host in ("0.0.0.0", "::") else host
