import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka.structs import RecordMetadata, TopicPartition

class BatchBuilder:
    _builder: Any
    """The builder in C: `append(offset, timestamp_ms, key, value, headers)`, None where the batch is full."""
    _relative_offset: int
    def append(
        self,
        *,
        timestamp: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = ...,
    ) -> Any: ...
    def record_count(self) -> int: ...
    def size(self) -> int: ...

class MessageBatch:
    future: asyncio.Future[RecordMetadata]

class MessageAccumulator:
    _exception: BaseException | None
    def _append_batch(self, builder: BatchBuilder, tp: TopicPartition) -> MessageBatch: ...
