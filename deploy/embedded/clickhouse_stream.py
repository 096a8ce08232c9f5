"""A result that is sent while the engine still makes it: through a named pipe, which holds 64 KB.

The engine writes into the pipe and waits when nobody reads, so memory stays flat however large the result and however
slow its reader. An error before the first byte is a status, as elsewhere; a later one breaks the connection off before
the end of the answer. A broken pipe does not end a statement, so one whose reader has gone is killed.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Read = Callable[[], Coroutine[Any, Any, bytes]]

_READ_BYTES = 1 << 18
_UNTIL_KILLED_S = 0.2
_T = TypeVar("_T")


@asynccontextmanager
async def written_by(
    write: Callable[[Path], asyncio.Future[None]], kill: Callable[[Path], None]
) -> AsyncIterator[Read]:
    """What `write` puts into the pipe it is given, piece by piece, and b"" once its future is done; whoever leaves
    earlier has it killed."""
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory(prefix="feedback-stream-") as folder:
        pipe = Path(folder, "pipe")
        os.mkfifo(pipe, 0o600)
        # Read without a transport: uvloop's closes its file twice, the second time perhaps one of the engine's.
        reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        # While this end is open, nothing to read does not mean the end.
        held = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)

        async def read() -> bytes:
            while True:
                try:
                    return os.read(reading, _READ_BYTES)
                except BlockingIOError:
                    ready = asyncio.Event()
                    loop.add_reader(reading, ready.set)
                    await ready.wait()
                    loop.remove_reader(reading)

        job = write(pipe)
        job.add_done_callback(lambda _: os.close(held))
        try:
            yield read
        finally:
            # A writer whose readers are gone waits no more. One that opens the pipe only now would, for ever, where no
            # kill reaches it: it is let in.
            loop.remove_reader(reading)
            os.close(reading)
            while not (await asyncio.wait([job], timeout=_UNTIL_KILLED_S))[0]:
                os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))
                await loop.run_in_executor(None, kill, pipe)


async def send_while_read(
    read: Read, first: bytes, headers: dict[str, str], gone: asyncio.Future[None], send: Send
) -> bool:
    """Answer 200 with all that comes; whether the end came before the caller was gone. The last message is left out."""
    encoded = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": encoded})
    chunk: bytes | None = first
    while chunk:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        chunk = await unless(gone, read())
    return chunk is not None


async def unless(gone: asyncio.Future[None], work: Coroutine[Any, Any, _T]) -> _T | None:
    """What the work gives; None when the caller is gone before."""
    task = asyncio.ensure_future(work)
    both: list[asyncio.Future[Any]] = [task, gone]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if gone.done():
        task.cancel()
        return None
    return await task


async def until_gone(receive: Receive) -> None:
    """Return when the caller has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
