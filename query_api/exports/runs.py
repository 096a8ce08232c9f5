"""Runs exports in this process: ClickHouse's answer into a file, told on the way, ended when it is cancelled.

Whoever starts an export claims its next attempt and then looks whose claim was first. While it runs, each beat tells
how far it is and asks whether it was cancelled. What ends a run is told as a fact; what cannot be told because
ClickHouse is away shows by silence.
"""

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiohttp import ClientError
from clickhouse_connect.driver.exceptions import ClickHouseError

from query_api.engines import Engines, Reader
from query_api.exports.columns import FORMATS, SETTINGS, count_sql, rows_sql
from query_api.exports.files import DamagedFileError, Part, free_bytes, path_of, sweep
from query_api.exports.orders import Order
from query_api.exports.state import Progress, winner
from query_api.exports.store import ExportStore
from query_api.filter_conditions import Conditions, conditions_on_feedback, conditions_on_requests
from schemas.background import BackgroundTask
from schemas.logs import promised
from schemas.metrics import EXPORT_DISK_FREE, EXPORTS

_BEATS_A_LEASE = 6
_PAUSE_S = 2.0
_SWEEP_S = 60.0
_TOLD_WITHIN_S = 600.0
_AT_ONCE = 2
_STREAMED = {"wait_end_of_query": "0"}

log = logging.getLogger(__name__)


def conditions_of(order: Order, workspace: str) -> Conditions:
    """What must hold of a row of the export. Raises QueryError."""
    filters = order.log_filters(workspace)
    return conditions_on_requests(filters, "r") if order.kind == "logs" else conditions_on_feedback(filters, "r")


async def count(reader: Reader, order: Order, workspace: str) -> int:
    """How many rows there are for an order now. Raises QueryError and what the client raises."""
    conditions = conditions_of(order, workspace)
    (counted,) = await reader.rows(count_sql(order.kind, conditions), conditions.parameters)
    rows = int(counted["total"])
    if order.page is None:
        return rows
    size, skipped = order.page
    return max(min(rows - skipped, size), 0)


class Runs:
    """The exports that this process runs, at most two at once; others wait, and are in progress all the same."""

    def __init__(
        self,
        engines: Engines,
        reader: Reader,
        store: ExportStore,
        folder: Path,
        keep_s: float,
        lease_s: float,
    ) -> None:
        self._engines, self._reader, self._store, self._folder, self._keep_s = engines, reader, store, folder, keep_s
        self._beat_s = min(lease_s / _BEATS_A_LEASE, _PAUSE_S)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        EXPORT_DISK_FREE.follow(lambda: free_bytes(folder))
        self._sweeper = BackgroundTask("removing old exports", self._sweep_for_ever)

    async def start(self, workspace: str, export_id: str, order: Order, attempt: int) -> None:
        """Claim an attempt, and run it here unless another claim was first. Raises what the client raises."""
        runner = uuid4().hex
        await self._store.note(workspace, export_id, "claim", order.as_content(), attempt, runner)
        _, facts, _ = await self._store.facts(export_id)
        first = winner(facts, attempt)
        if first is not None and first.runner == runner:
            run = _Run(self._store, workspace, export_id, order, attempt, runner)
            path = path_of(self._folder, export_id, runner, order.format)
            self._keep(asyncio.create_task(self._see_through(run, path)))

    def sweep_in_background(self) -> None:
        """From now on remove files whose time is over, once a minute."""
        self._sweeper.start()

    async def _sweep_for_ever(self) -> None:
        while True:
            try:
                await asyncio.to_thread(sweep, self._folder, self._keep_s)
            except OSError as error:
                log.warning("files of exports in %s cannot be removed: %s", self._folder, error)
            await asyncio.sleep(_SWEEP_S)

    async def stop(self) -> None:
        """End what runs here, and say so."""
        await self._sweeper.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _see_through(self, run: "_Run", path: Path) -> None:
        beat = asyncio.create_task(run.tell_until_cancelled(self._beat_s))
        work = asyncio.create_task(self._write(run, path))
        try:
            await asyncio.wait([beat, work], return_when=asyncio.FIRST_COMPLETED)
            if beat.done():
                return beat.result()
            beat.cancel()
            rows, size = await work
            await run.tell_end("success", progress=Progress(rows, rows, size))
        except asyncio.CancelledError:
            async with asyncio.timeout(2):
                await run.tell("failed", error="The process that ran it was stopped. Start it again.")
            raise
        except (ClickHouseError, ClientError, DamagedFileError, OSError) as error:
            log.warning("export %s failed: %s", run.export_id, error)
            await run.tell_end("failed", error=_told(error))
        except Exception as error:
            log.exception("export %s failed", run.export_id, extra=promised())
            await run.tell_end("failed", error=f"An error in the program, see the log of the api: {error!r}")
        finally:
            for task in (beat, work):
                task.cancel()
            await asyncio.gather(beat, work, return_exceptions=True)

    async def _write(self, run: "_Run", path: Path) -> tuple[int, int]:
        async with self._slots:
            order = run.order
            conditions = conditions_of(order, run.workspace)
            run.rows_total = await count(self._reader, order, run.workspace)
            sql = rows_sql(order.kind, order.columns, order.format, conditions, order.page)
            client = await self._engines.clickhouse()
            with Part(path, order.format) as part:
                run.part = part
                stream = await client.raw_stream(
                    sql, conditions.parameters, SETTINGS, fmt=FORMATS[order.format], transport_settings=_STREAMED
                )
                async with stream as chunks:
                    async for chunk in chunks:
                        await asyncio.to_thread(part.write, chunk)
                return await asyncio.to_thread(part.finish), part.bytes_written


class _Run:
    """One attempt, and what it says of itself."""

    def __init__(
        self, store: ExportStore, workspace: str, export_id: str, order: Order, attempt: int, runner: str
    ) -> None:
        self.store = store
        self.workspace, self.export_id, self.order = workspace, export_id, order
        self.attempt, self.runner = attempt, runner
        self.rows_total: int | None = None
        self.part: Part | None = None

    @property
    def progress(self) -> Progress:
        if self.part is None:
            return Progress(self.rows_total, 0)
        return Progress(self.rows_total, self.part.rows_done, self.part.bytes_written)

    async def tell(self, state: str, progress: Progress | None = None, error: str | None = None) -> None:
        """Note how far it is. Raises what the client raises."""
        told: dict[str, Any] = {"state": state, "error": error, **vars(progress or self.progress)}
        await self.store.note(self.workspace, self.export_id, "run", told, self.attempt, self.runner)

    async def tell_end(self, state: str, progress: Progress | None = None, error: str | None = None) -> None:
        """Note how it ended, again until ClickHouse takes it; given up after ten minutes."""
        EXPORTS.add(state)
        async with asyncio.timeout(_TOLD_WITHIN_S):
            while True:
                try:
                    return await self.tell(state, progress, error)
                except (ClickHouseError, ClientError, OSError) as away:
                    log.warning("the end of export %s cannot be told: %s", self.export_id, away)
                await asyncio.sleep(_PAUSE_S)

    async def tell_until_cancelled(self, beat_s: float) -> None:
        """Note how far it is at every beat; return when it was cancelled or another attempt has begun."""
        while True:
            with contextlib.suppress(ClickHouseError, ClientError, OSError):
                await self.tell("running")
                if self.part is not None:
                    self.part.touch()
                _, facts, _ = await self.store.facts(self.export_id)
                if any(each.kind == "cancel" and each.attempt == self.attempt for each in facts):
                    return
                if any(each.attempt > self.attempt for each in facts):
                    return
            await asyncio.sleep(beat_s)


def _told(error: Exception) -> str:
    """The error for whoever reads the export, in one line, without the address of an engine."""
    if isinstance(error, OSError) and not isinstance(error, ClientError):
        return f"The file could not be written: {error.strerror or type(error).__name__}."
    text = " ".join(str(error).split())
    text = (text.partition("server response: ")[2] or text).partition(" (for url ")[0]
    return f"ClickHouse could not answer to the end: {text[:500] or type(error).__name__}"
