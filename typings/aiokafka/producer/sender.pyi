import asyncio

class Sender:
    @property
    def sender_task(self) -> asyncio.Task[None]: ...  # None before the producer is started
