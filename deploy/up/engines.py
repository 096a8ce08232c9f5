"""How the engines that run here are started, and how they are asked whether they are ready."""

import asyncio

from deploy.embedded import broker as embedded_broker
from deploy.kafka import broker as kafka
from deploy.up.options import program_argv
from deploy.up.readiness import until_http_200
from deploy.up.setup import LOOPBACK, Setup
from deploy.up.supervisor import Command
from runtime.utf8 import is_utf8

_PATIENCE = 600.0  # longer than the deadline of Program, which applies


async def clickhouse_command(setup: Setup) -> Command:
    """The command of the embedded ClickHouse."""
    place = ["--host", LOOPBACK, "--port", str(setup.options.clickhouse_port)]
    folder = str(setup.options.data_dir / "clickhouse")
    return [*program_argv("deploy.embedded.clickhouse_http"), *place, "--data-dir", folder], setup.environment


async def until_clickhouse_ready(setup: Setup) -> None:
    """Return when the embedded ClickHouse answers."""
    await until_http_200(LOOPBACK, setup.options.clickhouse_port, "/ping")


def embedded_broker_command(setup: Setup) -> Command:
    """The command of the embedded broker, which ends at a variable that is not UTF-8."""
    environment = {name: value for name, value in setup.environment.items() if is_utf8(name + value)}
    return embedded_broker.command(LOOPBACK, setup.options.kafka_port), environment


async def until_embedded_broker_ready(setup: Setup) -> None:
    """Return when the embedded broker answers."""
    await embedded_broker.wait_until_ready(setup.bootstrap, _PATIENCE)


async def kafka_command(setup: Setup) -> Command:
    """The command of Apache Kafka, whose folder is prepared first."""
    folder, options = setup.options.data_dir / "kafka", setup.options
    await asyncio.to_thread(kafka.prepare, folder, options.kafka_port, options.controller_port)
    return kafka.command(folder), setup.environment


async def until_kafka_ready(setup: Setup) -> None:
    """Return when Apache Kafka answers."""
    await kafka.wait_until_ready(setup.bootstrap, _PATIENCE)
