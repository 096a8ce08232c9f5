"""Offsets of the embedded broker, which loses its log when it ends: the base of each log, and draining the last one.

Versions of stored rows are made from offsets and must grow, but the embedded broker counts from 0 at each start. So the
workers add a base to the offsets of each of its logs, which is above everything stored. Before the broker is stopped,
the workers must have stored every accepted record.
"""

import asyncio
import math
import os
import re
import time
from pathlib import Path

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from operations.connections import CommandError, clickhouse
from runtime.kafka_admin import kafka_admin
from runtime.kafka_offsets import Offsets, commits_of, end_offsets, records_left
from runtime.log_age import HIGHEST_SEQUENCES, highest_of, require_later_end, within_the_log
from schemas.topics import INPUTS

# More records than a worker can have in flight for a partition. So the rows of a killed worker's last insert, which may
# arrive after the base was computed, lie below it.
GAP = 1_000_000


def offset_base(stored: int | None, former: int | None) -> int:
    """The base of a new log: above the highest stored sequence and the former log's base; 0 where there is neither."""
    known = [number for number in (stored, former) if number is not None]
    return max(known) + GAP if known else 0


async def base_of_durable_log(file: Path, clickhouse_url: str) -> int:
    """The base of a log on disk: computed before its first record is read, and kept in this file."""
    base = _read(file)
    if base is None:
        base = offset_base(await wait_for_highest_sequence(clickhouse_url), None)
        _write(file, base)
    return base


async def wait_for_highest_sequence(clickhouse_url: str) -> int | None:
    """The highest sequence of any stored record, None where nothing is stored. Waits until ClickHouse answers."""
    while True:
        try:
            return await asyncio.to_thread(_highest_sequence, clickhouse_url)
        except CommandError:
            await asyncio.sleep(0.2)


def _highest_sequence(clickhouse_url: str) -> int | None:
    return max(_highest_sequences(clickhouse_url).values(), default=None)


def _highest_sequences(clickhouse_url: str) -> Offsets:
    with clickhouse(clickhouse_url) as client:
        return highest_of(client.query(HIGHEST_SEQUENCES).result_rows)


async def require_newest_log(bootstrap: str, clickhouse_url: str, base: int) -> None:
    """OlderLogError where the log ends before records that ClickHouse has stored of it. KafkaError, CommandError."""
    if highest := within_the_log(await asyncio.to_thread(_highest_sequences, clickhouse_url), base):
        require_later_end(highest, await end_offsets(bootstrap, INPUTS), base)


def _read(file: Path) -> int | None:
    if not file.exists():
        return None
    text = file.read_text(errors="replace").strip()
    if not re.fullmatch("[0-9]{1,20}", text):
        raise CommandError(
            f"{file} holds no offset base: write into it the number that ClickHouse has in feedback.settings under the"
            " name offset_base."
        )
    return int(text)


def _write(file: Path, base: int) -> None:
    draft = file.with_suffix(".new")
    with draft.open("w") as written:
        written.write(f"{base}\n")
        written.flush()
        os.fsync(written.fileno())  # an empty file after a power failure would leave the log without its base
    draft.replace(file)


async def end_offsets_or_none(bootstrap: str) -> Offsets | None:
    """The end offsets of the input topics; None where the broker does not answer."""
    try:
        return await end_offsets(bootstrap, INPUTS)
    except (KafkaError, TimeoutError, OSError):
        return None


async def drain(bootstrap: str, group: str, patience: float = 10.0, deadline: float = math.inf) -> int | None:
    """Wait until the workers of this group have committed the input topics, or make no progress for `patience` seconds.

    Nothing may write to the topics any more. The number of records left over; None where the broker does not answer.
    """
    try:
        ends = await end_offsets(bootstrap, INPUTS)
        left = records_left(ends, {})
        started = progressed = time.monotonic()
        async with kafka_admin(bootstrap) as admin:
            while True:
                now_left = records_left(ends, await commits_of(admin, group, [TopicPartition(*each) for each in ends]))
                if now_left < left:
                    left, progressed = now_left, time.monotonic()
                if left == 0 or time.monotonic() - progressed > patience or time.monotonic() - started > deadline:
                    return left
                await asyncio.sleep(0.1)
    except (KafkaError, TimeoutError, OSError):
        return None
