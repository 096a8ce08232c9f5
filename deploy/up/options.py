"""The options of `feedback up`, and what it derives from them for each program. Pure."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """The options of `feedback up`."""

    port: int
    clickhouse_port: int
    kafka_port: int
    data_dir: Path
    workers: int
    partitions: int
    broker: str

    @property
    def controller_port(self) -> int:
        """The port of Apache Kafka's controller: the one after that of the broker, so the same at every start."""
        return self.kafka_port + 1


def metrics_ports(environment: Mapping[str, str], programs: int) -> list[int]:
    """The metrics ports of so many programs; none if the environment sets none."""
    set_ = (metrics_port(environment, number) for number in range(programs))
    return [int(each["FEEDBACK_METRICS_PORT"]) for each in set_ if each]


def metrics_port(environment: Mapping[str, str], number: int) -> dict[str, str]:
    """The metrics port of the program with this number: that of the environment plus the number."""
    port = environment.get("FEEDBACK_METRICS_PORT", "")
    # The program itself refuses a text that is no port.
    return {"FEEDBACK_METRICS_PORT": str(int(port) + number)} if port.isdecimal() and int(port) else {}


def program_argv(module: str) -> list[str]:
    """The argv of one of our programs; its arguments may follow."""
    # -P: files in the current folder must not shadow modules.
    return [sys.executable, "-P", "-m", "runtime.program", module]
