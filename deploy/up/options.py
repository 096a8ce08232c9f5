"""What `feedback up` was told, and what it tells each program; pure."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """What `feedback up` was told."""

    port: int
    clickhouse_port: int
    kafka_port: int
    data_dir: Path
    workers: int
    partitions: int
    broker: str

    @property
    def controller_port(self) -> int:
        """Where Apache Kafka's controller listens: beside the broker, and the same at every start."""
        return self.kafka_port + 1


def metrics_port(environment: Mapping[str, str], number: int) -> dict[str, str]:
    """Where the program of this number serves metrics: the first at the environment's port, others after it."""
    port = environment.get("FEEDBACK_METRICS_PORT", "")
    # What is no port is left for the program to refuse.
    return {"FEEDBACK_METRICS_PORT": str(int(port) + number)} if port.isdecimal() and int(port) else {}


def python(module: str) -> list[str]:
    # -P: what lies in the folder where the command was given must not shadow a module.
    return [sys.executable, "-P", "-m", module]
