"""A statement that writes into a pipe is read to its end, and ends whenever its reader leaves."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

from deploy.embedded.clickhouse_stream import written_by


def in_a_thread(work: Callable[[Path], object]) -> Callable[[Path], asyncio.Future[None]]:
    """Work on a pipe that nobody has to wait for, should it never end."""

    def write(pipe: Path) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def run() -> None:
            work(pipe)
            loop.call_soon_threadsafe(done.set_result, None)

        Thread(target=run, daemon=True).start()
        return done

    return write


async def test_what_is_written_is_read_to_its_end(tmp_path: Path) -> None:
    written = bytes(range(256)) * 4096  # more than a pipe holds
    found = b""
    async with written_by(tmp_path, in_a_thread(lambda pipe: pipe.write_bytes(written)), lambda _: None) as read:
        while piece := await read():
            found += piece
    assert found == written


async def test_a_writer_that_comes_to_its_pipe_after_the_reader_has_left_is_let_in_and_killed(
    tmp_path: Path,
) -> None:
    first_kill, second_kill = Event(), Event()

    def work(pipe: Path) -> None:
        first_kill.wait()
        with pipe.open("wb"):
            second_kill.wait()

    def kill(_: Path) -> None:
        (second_kill if first_kill.is_set() else first_kill).set()

    async with asyncio.timeout(10), written_by(tmp_path, in_a_thread(work), kill):
        pass
    assert second_kill.is_set()
