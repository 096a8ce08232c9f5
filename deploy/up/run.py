"""`feedback up`: runs everything on one machine in the foreground until Ctrl-C.

It refuses in one sentence what cannot work, and says when everything is ready. On SIGTERM or Ctrl-C it first stores
everything that was accepted; a second Ctrl-C stops at once. `system.py` knows which program needs which.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.embedded import broker as embedded_broker
from deploy.embedded.broker import BrokerUnavailableError
from deploy.embedded.clickhouse_address import AddressFileError
from deploy.up.checks import (
    CannotStartError,
    locked_folder,
    refuse_full_disk,
    refuse_taken_ports,
    require_embedded_clickhouse,
)
from deploy.up.options import Options, metrics_ports
from deploy.up.setup import LOOPBACK, Setup
from deploy.up.system import System
from gateway.settings import GatewaySettings
from ingest_api.settings import Settings
from operations.api_keys.stored_keys import active_keys
from operations.retention import RetentionError, require_valid
from query_api.settings import QuerySettings
from runtime.addresses import without_password
from runtime.folder_errors import why_unusable
from runtime.settings_errors import SettingsError, load
from runtime.up_addresses import API_ADDRESS_FILE, KAFKA_ADDRESS_FILE
from schemas.api_keys import ApiKey
from stream_workers.settings import RollupSettings, WorkerSettings

__all__ = ["Options", "up"]


def up(options: Options) -> int:
    """Run everything until a signal; the exit code: 0 if every accepted record was stored."""
    options = replace(options, data_dir=options.data_dir.absolute())
    try:
        # Only the owner may read data, logs and keys, also those that the started programs create.
        os.umask(0o077)
        refuse_full_disk(options.data_dir)
        with locked_folder(options.data_dir):
            _check(options)
            _rotate_logs(options.data_dir / "logs")
            return asyncio.run(_run(options))
    except (CannotStartError, BrokerUnavailableError, AddressFileError) as error:
        _say(str(error))
        return 1


def _check(options: Options) -> None:
    try:
        for each in (Settings, QuerySettings, WorkerSettings, RollupSettings):
            load(each)
        gateway = load(GatewaySettings)
        require_valid(os.environ)
    except (SettingsError, RetentionError) as faults:
        raise CannotStartError(str(faults)) from None
    ports = {"--port": (os.environ.get("FEEDBACK_HOST") or LOOPBACK, options.port)}
    programs = options.workers + 1
    if gateway.upstream or gateway.allowed:
        programs += 1
        ports["FEEDBACK_GATEWAY_PORT"] = (gateway.gateway_host, gateway.gateway_port)
    if not os.environ.get("FEEDBACK_CLICKHOUSE_URL"):
        require_embedded_clickhouse()
        ports["--clickhouse-port"] = (LOOPBACK, options.clickhouse_port)
    if not os.environ.get("FEEDBACK_KAFKA_BOOTSTRAP"):
        ports["--kafka-port"] = (LOOPBACK, options.kafka_port)
        if options.broker == "kafka":
            ports["--kafka-port (Kafka's controller takes the next one)"] = (LOOPBACK, options.controller_port)
        else:
            embedded_broker.command(LOOPBACK, options.kafka_port)
    metrics_host = os.environ.get("FEEDBACK_METRICS_HOST") or LOOPBACK
    for number, port in enumerate(metrics_ports(os.environ, programs)):
        ports[f"FEEDBACK_METRICS_PORT{f' (plus {number})' if number else ''}"] = (metrics_host, port)
    refuse_taken_ports(ports)


def _rotate_logs(folder: Path) -> None:
    """Begin new log files. Those of the former start are kept beside them."""
    try:
        folder.mkdir(exist_ok=True)
        for log in folder.glob("*.log"):
            log.replace(log.with_suffix(".log.1"))
    except OSError as error:
        raise CannotStartError(
            f"{folder} cannot hold logs ({why_unusable(folder, error)}): give another --data-dir."
        ) from None


async def _run(options: Options) -> int:
    asked, insisted = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    # With make, a SIGTERM to the process group arrives twice, so only a second Ctrl-C stops at once.
    loop.add_signal_handler(signal.SIGTERM, asked.set)
    loop.add_signal_handler(signal.SIGINT, lambda: insisted.set() if asked.is_set() else asked.set())
    system = System(options, os.environ, _say)
    trouble = system.trouble
    unfinished = options.data_dir / "unfinished"
    api_file, kafka_file = options.data_dir / API_ADDRESS_FILE, options.data_dir / KAFKA_ADDRESS_FILE
    if system.setup.is_broker_embedded:
        if unfinished.exists():
            _say(
                "it was killed the last time: what its embedded broker held and no worker had stored is lost, most"
                " often less than a second of events."
            )
        _mark(unfinished)
    system.start()
    try:
        ready = asyncio.create_task(system.wait_until_ready())
        await _first(ready, asked.wait(), trouble)
        if ready.done() and not ready.cancelled():
            _write_addresses({api_file: _api_address(system), kafka_file: system.setup.bootstrap})
            _announce(system)
            await _first(asked.wait(), trouble)
        troubled = trouble.done()
        if troubled:
            _say(_sentence(trouble.result()))
        else:
            _say("stopping when all that was accepted is stored; Ctrl-C again stops at once.")
        asked.set()  # from here on, one Ctrl-C stops at once
        stopping = asyncio.create_task(system.stop())
        await _first(stopping, insisted.wait())
    finally:
        for file in (api_file, kafka_file):
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
        await system.kill()
    if insisted.is_set():
        _say("stopped at once.")
        return 130
    left = stopping.result()
    unfinished.unlink(missing_ok=True)
    if left != 0:
        if trouble.done() and not troubled:
            _say(_sentence(trouble.result()))
        count = "an unknown number of" if left is None else f"{left:,}"
        _say(f"{count} accepted records were not stored and are lost; {options.data_dir / 'logs'} may say why.")
    return 0 if left == 0 and not troubled else 1


def _mark(unfinished: Path) -> None:
    """Leave a file that stays if this process is killed."""
    try:
        unfinished.write_text("")
    except OSError as error:
        raise CannotStartError(f"{unfinished} cannot be written ({error.strerror}): remove what is there.") from None


def _write_addresses(addresses: Mapping[Path, str]) -> None:
    """Write addresses for commands. Programs run without these files."""
    for file, address in addresses.items():
        try:
            file.write_text(f"{address}\n")
        except OSError as error:
            _say(f"{file} cannot be written ({error.strerror}), so commands have to be told of {address}.")


async def _first(*awaitables: Awaitable[Any]) -> None:
    """Return when one of them is done, and cancel the other tasks. Raises what that one raises."""
    tasks = [asyncio.ensure_future(each) for each in awaitables]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if isinstance(task, asyncio.Task) and task not in done:
            task.cancel()
    for task in done:
        task.result()


def _sentence(error: Exception) -> str:
    # The messages of our own errors are sentences; other errors need their type to be understood.
    return str(error) if isinstance(error, RuntimeError) else f"{type(error).__name__}: {error}"


def _api_address(system: System) -> str:
    return f"http://{system.setup.reachable_host}:{system.options.port}"


def _announce(system: System) -> None:
    edge = _api_address(system)
    # The password of the embedded ClickHouse is shown to its user; that of another ClickHouse is not.
    clickhouse = system.setup.clickhouse_url if system.clickhouse else without_password(system.setup.clickhouse_url)
    # Printed before the ready line, so that a reader who waits for that line has everything.
    _say(who_may_call(system.keys, system.setup))
    if system.gateway is not None:
        gateway = load(GatewaySettings)
        _say(f"calls to {gateway.address} pass to {gateway.places} and are logged.")
    example = json.dumps({"trace_id": "hello", "value": 5, "weight": 1.0, "metadata": {"_user": "ada"}})
    print(
        f"Feedback API ready: {edge}  ClickHouse {clickhouse}  Kafka {system.setup.bootstrap}\n"
        f"curl -X POST {edge}/v1/feedback -H 'Content-Type: application/json' -d '{example}'",
        flush=True,
    )


def who_may_call(stored: list[ApiKey], setup: Setup) -> str:
    """A sentence that says whether calls need a key, and how many of those that are stored are valid."""
    keys = [key for key in stored if not key.reopened_at]
    if keys:
        count = len(active_keys(keys, datetime.now(UTC)))
        return f"{count} of {len(keys)} API keys {'is' if count == 1 else 'are'} valid; every call needs one."
    if setup.requires_keys:
        return "every call needs an API key, and there is none: make one with `feedback keys create`."
    if setup.closed_mark.exists():
        return (
            f"this API was closed by keys that are lost, as {setup.closed_mark} says, so every call needs one:"
            " make one with `feedback keys create`, or let everybody in with `feedback keys open --yes`."
        )
    return (
        "there is no API key, so the API is open to every program that reaches it, until you make one with"
        " `feedback keys create`."
    )


def _say(sentence: str) -> None:
    print(f"feedback: {sentence}", file=sys.stderr, flush=True)
