"""An answer leaves in one write, whole and in order, however the server writes it."""

import asyncio
from typing import Any

from ingest_api.one_write import OneWriteTransport


class Written(asyncio.Transport):
    """A transport that remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[bytes | str] = []

    def write(self, data: Any) -> None:
        self.calls.append(bytes(data))

    def close(self) -> None:
        self.calls.append("close")

    def is_closing(self) -> bool:
        return "close" in self.calls

    def pause_reading(self) -> None:
        raise AssertionError

    resume_reading = pause_reading


async def test_what_is_written_in_one_turn_of_the_loop_goes_out_together_at_its_end() -> None:
    inner = Written()
    transport = OneWriteTransport(inner, asyncio.get_running_loop())
    for number in range(2):
        transport.write(b"head")
        transport.write(b"")
        transport.write(b"body")
        assert inner.calls == [b"headbody"] * number
        await asyncio.sleep(0)
    assert inner.calls == [b"headbody"] * 2


async def test_a_close_comes_after_what_was_written_and_nothing_after_it() -> None:
    inner = Written()
    transport = OneWriteTransport(inner, asyncio.get_running_loop())
    transport.write(b"answer")
    transport.close()
    await asyncio.sleep(0)
    assert inner.calls == [b"answer", "close"]


async def test_a_connection_that_was_lost_is_not_written_to() -> None:
    inner = Written()
    transport = OneWriteTransport(inner, asyncio.get_running_loop())
    transport.write(b"too late")
    inner.close()
    await asyncio.sleep(0)
    assert inner.calls == ["close"]
