"""Sends a result while the engine still produces it, through a named pipe, which holds 64 KB.

The engine writes into the pipe and waits if nobody reads, so memory does not grow with the result or a slow reader. An
error before the first byte becomes an HTTP status; a later one closes the connection before the end of the answer. A
broken pipe does not end a statement, so a statement whose reader has gone is killed.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from runtime.client_left import result_unless_gone

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Read = Callable[[], Coroutine[Any, Any, bytes]]

_READ_BYTES = 1 << 18
_UNTIL_KILLED_S = 0.2


@asynccontextmanager
async def written_by(
    scratch: Path, write: Callable[[Path], asyncio.Future[None]], kill: Callable[[Path], None]
) -> AsyncIterator[Read]:
    """Yields a function that reads what `write` puts into its pipe, piece by piece, and b"" when its future is done.
    Leaving earlier kills the writer. The pipe is made in the folder `scratch`; OSError where it cannot be made."""
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        pipe = Path(folder, "pipe")
        os.mkfifo(pipe, 0o600)
        # Read without a transport, because that of uvloop closes its file twice, the second time perhaps another file.
        reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        # While this end is open, an empty pipe does not mean the end.
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
            # A writer without readers does not wait. But one that opens the pipe only now would wait for ever, where no
            # kill reaches it, so it is let in.
            loop.remove_reader(reading)
            os.close(reading)
            while not (await asyncio.wait([job], timeout=_UNTIL_KILLED_S))[0]:
                os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))
                await loop.run_in_executor(None, kill, pipe)


async def send_while_read(
    read: Read, first: bytes, headers: dict[str, str], gone: asyncio.Future[None], send: Send
) -> bool:
    """Answer 200 with all that is read, except the last message; whether the end came before the client left."""
    encoded = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": encoded})
    chunk: bytes | None = first
    while chunk:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        chunk = await result_unless_gone(gone, read())
    return chunk is not None
