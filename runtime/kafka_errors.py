"""What is wrong when Kafka or the system below it fails: away, disk full, or a matter for an operator. Pure.

The edge needs no more than this. `runtime.engine_errors` knows ClickHouse's errors as well.
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
# Beside those that aiokafka itself calls retriable.
_PASSING_KAFKA = (
    BrokerNotAvailableError,
    CorruptRecordException,
    KafkaTimeoutError,
    KafkaUnavailableError,
    ReplicaNotAvailableError,
)


@dataclass(frozen=True)
class EngineFailure:
    """What is wrong. `is_temporary` says whether it may mend itself, so that the same may be tried again."""

    kind: Literal["away", "overloaded", "disk full", "schema", "access", "other"]
    engine: Engine
    summary: str

    @property
    def is_temporary(self) -> bool:
        """Whether trying again is all there is to do here."""
        return self.kind in ("away", "overloaded", "disk full")


def classify_kafka_error(error: BaseException) -> EngineFailure:
    """What an error of Kafka's client or of the system comes to; of an error that is neither, `other`."""
    if is_out_of_space(error):
        return EngineFailure("disk full", "", "no space left on the disk")
    if isinstance(error, KafkaError):
        return _of_kafka(error)
    if isinstance(error, TimeoutError | ConnectionError | OSError):
        return EngineFailure("away", "", "it does not answer")
    return EngineFailure("other", "", type(error).__name__)


def is_out_of_space(error: BaseException) -> bool:
    """Whether the system found no space on a disk: this error says so, or one that it followed from."""
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
