"""Runs exports in this process: ClickHouse's answer into a file, with its progress, ended when it is cancelled.

Whoever starts an export claims its next attempt and then looks whose claim was first. While it runs, each beat tells
how far it is and asks whether it was cancelled. What ends a run is stored as a fact; what cannot be stored because
ClickHouse is away shows by silence.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import ClientError
from clickhouse_connect.driver.exceptions import ClickHouseError

from query_api.clickhouse import Engines, Reader
from query_api.exports.attempt import Attempt, told_of
from query_api.exports.columns import FORMATS, SETTINGS, count_sql, rows_sql
from query_api.exports.files import DamagedFileError, Part, disk, folder_in_use, free_bytes, path_of, sweep
from query_api.exports.limits import Limits
from query_api.exports.orders import Order
from query_api.exports.quota import NoRoomError, check_disk, check_orders, check_start
from query_api.exports.room import Room
from query_api.exports.state import ExportProgress, winner
from query_api.exports.store import ExportStore
from query_api.exports.turns import Turns
from query_api.filters.conditions import Conditions, conditions_on_requests
from query_api.filters.feedback_conditions import conditions_on_listed_feedback
from query_api.filters.feedback_parameters import FeedbackFilters
from runtime.background_tasks import BackgroundTask
from runtime.log_setup import promised_fields
from runtime.metrics import EXPORT_DISK_FREE

_BEATS_A_LEASE = 6
_PAUSE_S = 2.0
_SWEEP_S = 60.0
_AT_ONCE = 2
_STREAMED = {"wait_end_of_query": "0"}

log = logging.getLogger(__name__)


def conditions_of(order: Order, workspace: str) -> Conditions:
    """What must hold of a row of the export. Raises ApiError."""
    filters = order.as_filters(workspace)
    if isinstance(filters, FeedbackFilters):
        return conditions_on_listed_feedback(filters, "r")
    return conditions_on_requests(filters, "r")


async def count(reader: Reader, order: Order, workspace: str) -> int:
    """How many rows there are for an order now. Raises ApiError and what the client raises."""
    conditions = conditions_of(order, workspace)
    (counted,) = await reader.rows(count_sql(order.kind, conditions), conditions.parameters)
    rows = int(counted["total"])
    if order.page is None:
        return rows
    size, skipped = order.page
    return max(min(rows - skipped, size), 0)


class Runs:
    """The exports that this process runs, at most two at once.

    Others wait, those of each workspace in turn, and are in progress all the same.
    """

    def __init__(
        self,
        engines: Engines,
        reader: Reader,
        store: ExportStore,
        folder: Path,
        keep: timedelta,
        lease: timedelta,
        limits: Limits,
    ) -> None:
        self._engines, self._reader, self._store, self._folder = engines, reader, store, folder
        self._keep_for, self._limits = keep, limits
        self._beat_s = min(lease.total_seconds() / _BEATS_A_LEASE, _PAUSE_S)
        self._turns = Turns(_AT_ONCE)
        self._room = Room(folder, limits)
        # What a call is allowed is counted and then noted, so the calls of a workspace go one by one.
        self._calls: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: set[asyncio.Task[None]] = set()
        EXPORT_DISK_FREE.set_callback(lambda: free_bytes(folder))
        self._sweeper = BackgroundTask("removing old exports", self._sweep_for_ever)

    async def order(self, workspace: str, export_id: str, order: Order) -> None:
        """Note a new order. Raises ApiError where there are too many, and what the client raises."""
        async with self._calls[workspace]:
            await self._check_orders(workspace)
            await self._store.note(workspace, export_id, "order", order.as_content())

    async def start(self, workspace: str, export_id: str, order: Order, attempt: int) -> None:
        """Claim an attempt, and run it here unless another claim was first.

        Raises ApiError where there are too many or too large ones, and what the client raises.
        """
        run = Attempt(self._store, self._keep_for, workspace, export_id, order, attempt)
        async with self._calls[workspace]:
            with folder_in_use(self._folder, "the export was not started"):
                measured = await asyncio.to_thread(disk, self._folder)
            check_disk(self._limits, measured)
            await self._check_orders(workspace)
            used, now = await self._store.usage(workspace, self._keep_for)
            check_start(self._limits, used, now or datetime.now(UTC))
            await self._store.note(workspace, export_id, "claim", order.as_content(), attempt, run.runner)
        _, facts, _ = await self._store.facts(export_id)
        first = winner(facts, attempt)
        if first is not None and first.runner == run.runner:
            path = path_of(self._folder, export_id, run.runner, order.format)
            self._keep(asyncio.create_task(self._see_through(run, path)))

    async def _check_orders(self, workspace: str) -> None:
        recent, now = await self._store.recent(workspace, self._keep_for)
        check_orders(self._limits, recent, self._keep_for, now)

    def sweep_in_background(self) -> None:
        """From now on remove files whose time is over, once a minute."""
        self._sweeper.start()

    async def _sweep_for_ever(self) -> None:
        while True:
            try:
                await asyncio.to_thread(sweep, self._folder, self._keep_for.total_seconds())
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

    async def _see_through(self, run: Attempt, path: Path) -> None:
        beat = asyncio.create_task(run.record_until_cancelled(self._beat_s))
        work = asyncio.create_task(self._write(run, path))
        is_shown = False
        try:
            await asyncio.wait([beat, work], return_when=asyncio.FIRST_COMPLETED)
            if beat.done():
                return beat.result()
            beat.cancel()
            rows, size = await work
            await run.record_end("success", progress=ExportProgress(rows, rows, size))
            is_shown = await run.is_shown()
        except asyncio.CancelledError:
            async with asyncio.timeout(2):
                await run.record_state("failed", error="The process that ran it was stopped. Start it again.")
            raise
        except (ClickHouseError, ClientError, DamagedFileError, NoRoomError, OSError) as error:
            log.warning("export %s failed: %s", run.export_id, error)
            await run.record_end("failed", error=told_of(error))
        except Exception as error:
            log.exception("export %s failed", run.export_id, extra=promised_fields())
            await run.record_end("failed", error=f"An error in the program, see the log of the api: {error!r}")
        finally:
            for task in (beat, work):
                task.cancel()
            await asyncio.gather(beat, work, return_exceptions=True)
            self._room.leave(run)
            if not is_shown:
                with contextlib.suppress(OSError):  # what ended it is told already; the sweep tries again
                    await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _write(self, run: Attempt, path: Path) -> tuple[int, int]:
        async with self._turns.place(run.workspace):
            order = run.order
            conditions = conditions_of(order, run.workspace)
            run.rows_total = await count(self._reader, order, run.workspace)
            sql = rows_sql(order.kind, order.columns, order.format, conditions, order.page)
            spilling = SETTINGS | {"max_temporary_data_on_disk_size_for_query": self._limits.all_bytes}
            client = await self._engines.clickhouse()
            with Part(path, order.format) as part:
                run.part = part
                await run.look_at_others()
                self._room.enter(run)
                stream = await client.raw_stream(
                    sql, conditions.parameters, spilling, fmt=FORMATS[order.format], transport_settings=_STREAMED
                )
                async with stream as chunks:
                    async for chunk in chunks:
                        await self._room.take(run, len(chunk))
                        await asyncio.to_thread(part.write, chunk)
                return await asyncio.to_thread(part.finish), part.bytes_written
