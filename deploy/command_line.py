"""The command line of `feedback`: its subcommands, their options, and what each of them runs."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy import dashboard_command, gateway_command
from deploy.demo import command as demo_command
from operations import audit_command, command_options, migrate_command, orphans_command, replay_command, sql_command
from operations.api_keys import commands as api_key_commands
from operations.dead_letters import commands as dead_letter_commands
from operations.erase import command as erase_command
from operations.expire import command as expire_command
from operations.reconcile import command as reconcile_command
from runtime.program import run_program


def parser() -> argparse.ArgumentParser:
    """The parser, whose result has `run`, and `is_program` where a program is to run."""
    feedback = argparse.ArgumentParser(
        prog="feedback",
        description="Weighted feedback on what an app has served: HTTP in, Kafka through, ClickHouse out.",
        epilog="`feedback COMMAND --help` tells what a command takes.",
    )
    commands = feedback.add_subparsers(title="commands", metavar="COMMAND", required=True)

    _add_up(commands)
    migrate_command.add_to(commands)

    topics = commands.add_parser("topics", help="create the topics in Kafka and keep their settings")
    command_options.add_kafka(topics)
    topics.add_argument("--partitions", type=_PARTITIONS, default=8, help="partitions of each topic (%(default)s)")
    topics.add_argument("--replication", type=_REPLICAS, default=1, help="replicas of each partition (%(default)s)")
    topics.set_defaults(run=_topics)

    commands.add_parser("api", help="run the whole HTTP API: the edge and the queries").set_defaults(
        run=_module("deploy.api"), is_program=True
    )
    commands.add_parser(
        "edge", help="run the publishing half of the HTTP API alone; it needs no ClickHouse"
    ).set_defaults(run=_module("ingest_api"), is_program=True)
    commands.add_parser("worker", help="run one stream worker alone").set_defaults(
        run=_module("stream_workers"), is_program=True
    )
    commands.add_parser("rollup", help="run the program that keeps hourly and daily numbers").set_defaults(
        run=_module("stream_workers.rollup.app"), is_program=True
    )
    dashboard_command.add_to(commands, _port)
    gateway_command.add_to(commands, _port)
    api_key_commands.add_to(commands)
    audit_command.add_to(commands)
    dead_letter_commands.add_to(commands)
    reconcile_command.add_to(commands)
    erase_command.add_to(commands)
    orphans_command.add_to(commands)
    replay_command.add_to(commands)
    sql_command.add_to(commands)
    expire_command.add_to(commands)
    demo_command.add_to(commands)
    commands.add_parser("version", help="print the version").set_defaults(run=_version)
    return feedback


_PARTITIONS, _REPLICAS = command_options.number(1, 1000), command_options.number(1, 1000)
_UP = (
    "Runs the API, the stream workers, Kafka and ClickHouse as one, restarts what dies, and on Ctrl-C finishes what it"
    " has accepted. An engine whose address is in the environment (FEEDBACK_KAFKA_BOOTSTRAP, FEEDBACK_CLICKHOUSE_URL)"
    " is used and not started."
)


def _add_up(commands: Any) -> None:
    up = commands.add_parser("up", help="run everything here, until Ctrl-C", description=_UP)
    up.add_argument("--port", type=_port, default=8787, help="where the API listens (%(default)s)")
    up.add_argument("--clickhouse-port", type=_port, default=8123, help="where ClickHouse listens (%(default)s)")
    up.add_argument("--kafka-port", type=_port, default=9092, help="where Kafka listens (%(default)s)")
    up.add_argument("--data-dir", type=_folder, default=Path(".feedback"), help="where data and logs go (%(default)s)")
    up.add_argument(
        "--workers",
        type=command_options.number(0, 1000),
        default=1,
        help="stream workers; none while `feedback replay` sets them back (%(default)s)",
    )
    up.add_argument("--partitions", type=_PARTITIONS, default=8, help="partitions of each topic (%(default)s)")
    up.add_argument(
        "--broker",
        choices=("embedded", "kafka"),
        default="embedded",
        help="embedded: in memory, needs nothing; kafka: Apache Kafka on disk, needs Java and Maven (%(default)s)",
    )
    up.set_defaults(run=_up)


def _up(options: argparse.Namespace) -> int:
    from deploy.up.run import Options, up

    return up(
        Options(
            port=options.port,
            clickhouse_port=options.clickhouse_port,
            kafka_port=options.kafka_port,
            data_dir=options.data_dir,
            workers=options.workers,
            partitions=options.partitions,
            broker=options.broker,
        )
    )


def _topics(options: argparse.Namespace) -> int:
    from operations.connections import kafka
    from operations.topics import create_topics

    created = kafka(options.bootstrap, create_topics(options.bootstrap, options.partitions, options.replication))
    for name in created:
        print(f"created {name}")
    if not created:
        print(f"Kafka at {options.bootstrap} has all topics already.")
    return 0


def _version(_: argparse.Namespace) -> int:
    from importlib.metadata import version

    print(f"feedback {version('feedback-api')}")
    return 0


def _module(name: str) -> Callable[[argparse.Namespace], int]:
    """Runs a module in this process."""

    def run(_: argparse.Namespace) -> int:
        # The module would read our arguments from the command line.
        sys.argv[1:] = []
        return run_program(name)

    return run


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: expected 1 to 65535")
    return int(text)


def _folder(text: str) -> Path:
    # An empty path would be the folder that the command is run in, as with an unset variable of a shell.
    if not text.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder: give its path, or leave the option out")
    return Path(text)
