"""The start and the end of an aiokafka consumer, whose own `stop` does not always end it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

_CLOSE_S = 5.0


@contextlib.asynccontextmanager
async def started_consumer(bootstrap: str, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that commits nothing by itself, stopped at the end, also where it does not start. KafkaError."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, **options)
    try:
        await consumer.start()
        yield consumer
    finally:
        await stop_consumer(consumer)


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer in bounded time, whatever state it is in. CancelledError only where the caller is cancelled.

    `AIOKafkaConsumer.stop` cancels its fetch tasks and waits for them. A task that pauses after a request that timed
    out leaks its cancellation, as though the caller of `stop` had been cancelled. Connections then stay open, so they
    are closed here.
    """
    task = asyncio.current_task()
    assert task is not None
    cancellations = task.cancelling()
    try:
        async with asyncio.timeout(_CLOSE_S):
            await consumer.stop()
            return
    except asyncio.CancelledError:
        if task.cancelling() > cancellations:
            raise
    except (KafkaError, OSError, TimeoutError):
        pass
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(_CLOSE_S):
            await consumer._client.close()
