"""One attempt of an export, and what it tells of itself: how far it is, and how it ended."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

from aiohttp import ClientError
from clickhouse_connect.driver.exceptions import ClickHouseError

from query_api.exports.files import Part
from query_api.exports.orders import Order
from query_api.exports.quota import NoRoomError
from query_api.exports.state import ExportProgress
from query_api.exports.store import ExportStore
from runtime.metrics import EXPORTS

_PAUSE_S = 2.0
_TOLD_WITHIN_S = 600.0

log = logging.getLogger(__name__)


class Attempt:
    """One attempt; `reported_sizes` are the bytes of the workspace's exports, by id, as they were last reported."""

    def __init__(
        self, store: ExportStore, keep: timedelta, workspace: str, export_id: str, order: Order, attempt: int
    ) -> None:
        self.store, self.keep = store, keep
        self.workspace, self.export_id, self.order = workspace, export_id, order
        self.attempt, self.runner = attempt, uuid4().hex
        self.rows_total: int | None = None
        self.part: Part | None = None
        self.reported_sizes: Mapping[str, int] = {}

    @property
    def progress(self) -> ExportProgress:
        if self.part is None:
            return ExportProgress(self.rows_total, 0)
        return ExportProgress(self.rows_total, self.part.rows_done, self.part.bytes_written)

    async def record_state(self, state: str, progress: ExportProgress | None = None, error: str | None = None) -> None:
        """Note how far it is. Raises what the client raises."""
        content: dict[str, Any] = {"state": state, "error": error, **vars(progress or self.progress)}
        await self.store.note(self.workspace, self.export_id, "run", content, self.attempt, self.runner)

    async def record_end(self, state: str, progress: ExportProgress | None = None, error: str | None = None) -> None:
        """Note how it ended, again until ClickHouse takes it; given up after ten minutes."""
        EXPORTS.add(state)
        async with asyncio.timeout(_TOLD_WITHIN_S):
            while True:
                try:
                    return await self.record_state(state, progress, error)
                except (ClickHouseError, ClientError, OSError) as away:
                    log.warning("the end of export %s cannot be stored: %s", self.export_id, away)
                await asyncio.sleep(_PAUSE_S)

    async def is_shown(self) -> bool:
        """Whether the export shows its success; not if it was cancelled or deleted before that was noted."""
        try:
            found = await self.store.find(self.export_id)
        except (ClickHouseError, ClientError, OSError):
            return True  # its file is removed when its time is over
        return found is not None and (found[1].status, found[1].runner) == ("success", self.runner)

    async def look_at_others(self) -> None:
        """See what the exports of the workspace take. Raises what the client raises."""
        self.reported_sizes = (await self.store.usage(self.workspace, self.keep))[0].sizes

    async def record_until_cancelled(self, beat_s: float) -> None:
        """Note how far it is at every beat; return when it was cancelled or deleted, or another attempt has begun."""
        while True:
            with contextlib.suppress(ClickHouseError, ClientError, OSError):
                await self.record_state("running")
                if self.part is not None:
                    self.part.touch()
                    await self.look_at_others()
                _, facts, _ = await self.store.facts(self.export_id)
                if any(each.attempt == self.attempt and each.kind in ("cancel", "delete") for each in facts):
                    return
                if any(each.attempt > self.attempt for each in facts):
                    return
            await asyncio.sleep(beat_s)


def told_of(error: Exception) -> str:
    """The error for whoever reads the export, in one line, without the address of an engine."""
    if isinstance(error, NoRoomError):
        return f"{str(error)[:1].upper()}{str(error)[1:]}. Then start it again."
    if isinstance(error, OSError) and not isinstance(error, ClientError):
        return f"The file could not be written: {error.strerror or type(error).__name__}. Mend it, then start it again."
    text = " ".join(str(error).split())
    text = (text.partition("server response: ")[2] or text).partition(" (for url ")[0]
    return f"ClickHouse could not answer to the end: {text[:500] or type(error).__name__}"
