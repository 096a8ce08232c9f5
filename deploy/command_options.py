"""What operators' commands take in common: where the engines are, and texts of a command line read into values."""

import argparse
import os
from datetime import UTC, datetime

KAFKA = "127.0.0.1:9092"
CLICKHOUSE = "http://default:@127.0.0.1:8123"
GROUP = "feedback-workers"


def engines(parser: argparse.ArgumentParser, *, with_kafka: bool = False) -> None:
    """Add --clickhouse-url, and --bootstrap where the command speaks to Kafka."""
    clickhouse(parser)
    if with_kafka:
        kafka(parser)


def clickhouse(parser: argparse.ArgumentParser) -> None:
    """Add --clickhouse-url."""
    parser.add_argument(
        "--clickhouse-url",
        default=os.environ.get("FEEDBACK_CLICKHOUSE_URL", CLICKHOUSE),
        metavar="URL",
        help="http://user:password@host:port (FEEDBACK_CLICKHOUSE_URL, else this machine)",
    )


def kafka(parser: argparse.ArgumentParser) -> None:
    """Add --bootstrap."""
    parser.add_argument(
        "--bootstrap",
        default=os.environ.get("FEEDBACK_KAFKA_BOOTSTRAP", KAFKA),
        metavar="HOST:PORT",
        help="brokers, comma-separated (FEEDBACK_KAFKA_BOOTSTRAP, else this machine)",
    )


def group(parser: argparse.ArgumentParser) -> None:
    """Add --group."""
    parser.add_argument(
        "--group", default=os.environ.get("FEEDBACK_CONSUMER_GROUP") or GROUP, help="the workers' group (%(default)s)"
    )


def place(text: str) -> tuple[str, int, int]:
    """The topic, partition and sequence of a dead letter."""
    from deploy.dead_letters import place_of

    try:
        return place_of(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no place: give TOPIC/PARTITION/SEQUENCE") from None


def time(text: str) -> datetime:
    """A moment; UTC where it names no zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: give it as 2026-01-31T12:00Z") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def seconds(text: str) -> float:
    """0 to 3600."""
    try:
        given = float(text)
    except ValueError:
        given = -1
    if not 0 <= given <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds: give 0 to 3600")
    return given


def whole(text: str) -> int:
    """A number that an offset may be."""
    if not text.isdecimal() or not 0 <= int(text) < 2**47:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {2**47 - 1}")
    return int(text)
