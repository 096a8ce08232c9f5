"""Starts a Faust program in the foreground, or tells which setting is faulty."""

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Literal, TypeVar

import faust
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from runtime.background_tasks import exit_code
from runtime.health_server import serve_health
from runtime.listen_addresses import listen_failure
from runtime.log_setup import config, log_uncaught_errors
from runtime.metrics_registry import registry_of
from runtime.no_pandas import hide_pandas
from runtime.settings_errors import load_or_print
from stream_workers.health import HEALTH
from stream_workers.settings import ProgramSettings

_KAFKA_ANSWERS_S = 10.0
_TASKS_END_WITHIN_S = 1.0

Settings = TypeVar("Settings", bound=ProgramSettings)


def _kafka_fault(bootstrap: str) -> str:
    """Why Kafka cannot be used, in one sentence; empty if it answers. Faust would report it as a stack trace."""

    async def reach_kafka() -> None:
        client = AIOKafkaClient(bootstrap_servers=bootstrap)
        try:
            async with asyncio.timeout(_KAFKA_ANSWERS_S):
                await client.bootstrap()
        finally:
            await client.close()

    # The driver logs each failed attempt; one sentence is reported instead.
    driver = logging.getLogger("aiokafka")
    driver.setLevel(logging.CRITICAL + 1)
    # Not with asyncio.run, which would leave Faust without a loop.
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(reach_kafka())
    except TimeoutError:
        return f"Kafka at {bootstrap} does not answer within {_KAFKA_ANSWERS_S:g} s: is it frozen or overloaded?"
    except (KafkaError, OSError):
        return f"Kafka at {bootstrap} does not answer: is it running there, and is FEEDBACK_KAFKA_BOOTSTRAP right?"
    finally:
        loop.close()
        driver.setLevel(logging.NOTSET)
    return ""


class _Worker(faust.Worker):
    """A Faust worker that ends as soon as its tasks have: mode waits up to two seconds for those that never end."""

    def _gather_all(self) -> None:
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=_TASKS_END_WITHIN_S))

    async def _sentinel_task(self) -> None:
        pass


# The rollup program may be run as a module, whose logger is called so.
_LOG_LEVELS = {"stream_workers": logging.INFO, "__main__": logging.INFO}


def run(name: Literal["worker", "rollup"], settings: type[Settings], build: Callable[[Settings], faust.App]) -> int:
    """Run the app until SIGTERM; the exit code: 2 where a setting is faulty, 1 where the program ended by itself.

    Metrics and health are served from a thread.
    """
    read = load_or_print(settings, f"feedback {name}")
    if read is None:
        return 2
    if read.metrics_port:
        try:
            serve_health(
                read.metrics_host,
                read.metrics_port,
                registry_of(name),
                HEALTH.liveness,
                HEALTH.readiness,
                read.allowed_hosts,
            )
        except OSError as error:
            place = listen_failure(read.metrics_host, read.metrics_port, error)
            print(f"feedback {name}: FEEDBACK_METRICS_PORT: {place}: give another, or 0 for none.", file=sys.stderr)
            return 2
    if fault := _kafka_fault(read.kafka_bootstrap):
        print(f"feedback {name}: {fault}", file=sys.stderr)
        return 1
    log_uncaught_errors()
    hide_pandas()
    worker = _Worker(
        build(read),
        loglevel="WARNING",
        logging_config=config(read.log_format, **_LOG_LEVELS),
        redirect_stdouts=False,
        quiet=True,
    )
    worker.spinner = None  # its cursor codes do not belong into a log
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) and end.code else exit_code()
    return exit_code()
