"""Trace ids of the demo, which can be recognized: the last eight digits are a checksum of the rest.

So the demo can be removed without a list of its traces, and an app may have a trace with the id `demo-1`.
"""

import re

from schemas.murmur2 import murmur2

_PREFIX = "demo-"
_CHECK = re.compile(r"demo-.*-([0-9a-f]{8})", re.DOTALL)
_CHECK_CHARS = 9


def trace_id_of(seed: int, number: int) -> str:
    """The id of a trace of the week with this seed."""
    name = f"{_PREFIX}{seed}-{number:05}"
    return f"{name}-{_check(name)}"


def is_demo(trace_id: str) -> bool:
    """Whether the trace is one of a demo."""
    found = _CHECK.fullmatch(trace_id)
    return found is not None and found[1] == _check(trace_id[:-_CHECK_CHARS])


def sql_is_demo(column: str) -> str:
    """The same as an SQL condition."""
    name = f"substring({column}, 1, length({column}) - {_CHECK_CHARS})"
    check = f"leftPad(lower(hex(kafkaMurmurHash({name}))), {_CHECK_CHARS - 1}, '0')"
    return (
        f"(startsWith({column}, '{_PREFIX}') AND length({column}) > {_CHECK_CHARS + len(_PREFIX)}"
        f" AND {column} = concat({name}, '-', {check}))"
    )


def _check(name: str) -> str:
    # ClickHouse's murmur2 for Kafka drops the first bit, as Kafka's partitioner does.
    return f"{murmur2(name.encode()) & 0x7FFFFFFF:08x}"
