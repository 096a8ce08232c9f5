"""The end of an aiokafka consumer, which its own `stop` does not always reach."""

import asyncio
import contextlib
from typing import Any

from aiokafka.errors import KafkaError

_CLOSE_S = 5.0


async def stop_consumer(consumer: Any) -> None:
    """Stop a consumer in bounded time, whatever state it is in. CancelledError only where the caller is cancelled.

    `AIOKafkaConsumer.stop` cancels the fetches under way and waits for them; one that pauses after a request that timed
    out lets its cancellation through, as though whoever stops the consumer had been cancelled. Connections then stay
    open, so they are closed here.
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
