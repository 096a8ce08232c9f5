"""Options that operators' commands share, and parsers of option values."""

import argparse
import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from operations.connections import CommandError
from runtime.clickhouse_address import clickhouse_url
from runtime.times import parse_time
from runtime.up_addresses import kafka_address
from schemas.topics import INPUTS

KAFKA = "127.0.0.1:9092"
GROUP = "feedback-workers"
ROLLUP_GROUP = "feedback-rollups"
_LAST_PARTITION, _LAST_SEQUENCE = 2**16 - 1, 2**64 - 1
_DIGITS = re.compile(r"[0-9]{1,20}").fullmatch


def add_engines(parser: argparse.ArgumentParser, *, with_kafka: bool = False) -> None:
    """Add --clickhouse-url, and --bootstrap where the command speaks to Kafka."""
    add_clickhouse(parser)
    if with_kafka:
        add_kafka(parser)


def add_clickhouse(parser: argparse.ArgumentParser) -> None:
    """Add --clickhouse-url."""
    parser.add_argument(
        "--clickhouse-url",
        default=clickhouse_url(os.environ.get("FEEDBACK_CLICKHOUSE_URL")),
        metavar="URL",
        help="http://user:password@host:port (FEEDBACK_CLICKHOUSE_URL, else that of `feedback up` in this folder)",
    )


def add_kafka(parser: argparse.ArgumentParser) -> None:
    """Add --bootstrap."""
    parser.add_argument(
        "--bootstrap",
        default=os.environ.get("FEEDBACK_KAFKA_BOOTSTRAP") or kafka_address(KAFKA),
        metavar="HOST:PORT",
        help="brokers, comma-separated (FEEDBACK_KAFKA_BOOTSTRAP, else those of `feedback up` in this folder)",
    )


def add_group(parser: argparse.ArgumentParser) -> None:
    """Add --group."""
    parser.add_argument(
        "--group", default=os.environ.get("FEEDBACK_CONSUMER_GROUP") or GROUP, help="the workers' group (%(default)s)"
    )


def rollup_group() -> str:
    """The consumer group of the rollup programs."""
    return os.environ.get("FEEDBACK_ROLLUP_GROUP") or ROLLUP_GROUP


def add_yes(parser: argparse.ArgumentParser) -> None:
    """Add --yes, for `confirm`."""
    parser.add_argument("--yes", action="store_true", help="do it without asking; needed where nobody can be asked")


def confirm(args: argparse.Namespace, question: str) -> bool:
    """Whether to go on: --yes was given, or the user answers y. CommandError where there is no terminal to ask at."""
    if args.yes:
        return True
    if sys.stdin is None or not sys.stdin.isatty():
        raise CommandError("It changes what cannot be changed back, and nobody can be asked here: add --yes.")
    print(f"{question} [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def add_offset_base(parser: argparse.ArgumentParser) -> None:
    """Add --offset-base."""
    parser.add_argument(
        "--offset-base",
        type=whole,
        default=os.environ.get("FEEDBACK_OFFSET_BASE") or None,
        metavar="N",
        help="what workers add to offsets (FEEDBACK_OFFSET_BASE, else as `feedback up` has noted it)",
    )


def place(text: str) -> tuple[str, int, int]:
    """The topic, partition and sequence of a dead letter."""
    topic, *numbers = text.rsplit("/", 2)
    if len(numbers) < 2 or not all(_DIGITS(number) for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is not a dead letter's place: expected TOPIC/PARTITION/SEQUENCE")
    if topic not in INPUTS:
        raise argparse.ArgumentTypeError(f"unknown topic {topic!r}: expected {' or '.join(INPUTS)}")
    partition, sequence = map(int, numbers)
    if partition > _LAST_PARTITION or sequence > _LAST_SEQUENCE:
        raise argparse.ArgumentTypeError(f"{text!r} is not a dead letter's place: a number is out of range")
    return topic, partition, sequence


def time(text: str) -> datetime:
    """A time from 1970 to 2099; in UTC where it names no zone."""
    try:
        at = parse_time(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: expected one such as 2026-01-31T12:00Z") from None
    if not 1970 <= at.year < 2100:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 1970 and 2099")
    return at


def seconds(text: str) -> float:
    """Seconds, from 0 to 3600."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds: expected 0 to 3600")
    return value


def number(least: int, most: int) -> Callable[[str], int]:
    """A parser of whole numbers within these bounds."""

    def read(text: str) -> int:
        if not _DIGITS(text) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
        return int(text)

    return read


whole = number(0, 2**47 - 1)
"""Parses a number in the range of offsets."""
