"""The kinds of errors of Kafka and of the operating system: away, disk full, or other. Pure.

The edge needs no more than this; `runtime.engine_errors` classifies errors of ClickHouse as well.
"""

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from aiokafka.errors import (
    BrokerNotAvailableError,
    CorruptRecordException,
    KafkaError,
    KafkaStorageError,
    KafkaTimeoutError,
    KafkaUnavailableError,
    ReplicaNotAvailableError,
)

Engine = Literal["clickhouse", "kafka", ""]

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
# Temporary errors that aiokafka does not mark as retriable.
_PASSING_KAFKA = (
    BrokerNotAvailableError,
    CorruptRecordException,
    KafkaTimeoutError,
    KafkaUnavailableError,
    ReplicaNotAvailableError,
)


@dataclass(frozen=True)
class EngineFailure:
    """The kind of a failure, the engine that failed, and a summary for logs and messages."""

    kind: Literal["away", "overloaded", "disk full", "schema", "access", "other"]
    engine: Engine
    summary: str

    @property
    def is_temporary(self) -> bool:
        """Whether it may pass by itself, so that trying again is the right reaction."""
        return self.kind in ("away", "overloaded", "disk full")


def classify_kafka_error(error: BaseException) -> EngineFailure:
    """The failure behind an error of Kafka's client or of the system; of any other error, `other`."""
    if is_out_of_space(error):
        return EngineFailure("disk full", "", "no space left on the disk")
    if isinstance(error, KafkaError):
        return _of_kafka(error)
    if isinstance(error, TimeoutError | ConnectionError | OSError):
        return EngineFailure("away", "", "it does not answer")
    return EngineFailure("other", "", type(error).__name__)


def is_out_of_space(error: BaseException) -> bool:
    """Whether this error, or one that caused it, says that a disk is full."""
    return any(isinstance(each, OSError) and each.errno in _NO_SPACE for each in _chain(error))


def _of_kafka(error: KafkaError) -> EngineFailure:
    if isinstance(error, KafkaStorageError):
        return EngineFailure("disk full", "kafka", "it cannot write to its disk (KafkaStorageError): is that full?")
    if error.retriable or isinstance(error, _PASSING_KAFKA):
        return EngineFailure("away", "kafka", f"it does not answer ({type(error).__name__})")
    return EngineFailure("other", "kafka", type(error).__name__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    at: BaseException | None = error
    for _ in range(10):
        if at is None:
            return
        yield at
        at = at.__cause__ or at.__context__
