"""`/v1/admin/pipeline`, `/audit` and `/orphans`: whether all accepted records are stored, and what still waits."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Literal

from clickhouse_connect.driver.client import Client
from fastapi import APIRouter
from pydantic import BaseModel, Field

from operations.admin_api.run_command import AWAY, Commands
from operations.audit import audit, faults_of, is_foreign_group
from operations.check_results import CheckResult, last_results, result_of, store_result
from operations.orphans import orphan_counts
from operations.pipeline_counts import Counts, read_counts, read_offsets
from operations.pipeline_progress import GroupOffsets, PipelineProgress
from query_api.auth import REFUSALS, AdminCaller
from query_api.errors import example
from runtime.http_errors import ApiError
from runtime.times import parse_time
from schemas.topics import INPUTS, ROLLUP_INVALIDATIONS

_LEAST_S = 2.0
# Pages that stay open may take a twentieth of one core at most.
_REST = 20


class PartitionLag(BaseModel):
    """How far one consumer group has come in one partition."""

    group: str = Field(examples=["feedback-workers"])
    topic: str = Field(examples=["feedback.events.v1"])
    partition: int
    start_offset: int = Field(description="Of the first record that Kafka still has.")
    end_offset: int = Field(description="That the next record will get.")
    committed_offset: int | None = Field(description="Of the first record that is not seen through; null: no commit.")
    lag: int = Field(description="Records that wait.")
    stalled_s: float = Field(
        description="Seconds in which the group has not moved although records wait, as this process has seen."
    )


class RecordRates(BaseModel):
    """Records a second, of input topics, in the last `seconds` as this process has seen them."""

    accepted_per_s: float
    stored_per_s: float
    seconds: float


class Checks(BaseModel):
    """The last results of the commands that prove what is stored."""

    audit: CheckResult | None = Field(description="Of `feedback audit`; null: it was never run.")
    reconcile: CheckResult | None = Field(description="Of `feedback reconcile`; null: it was never run.")


class PipelineStatus(BaseModel):
    """The pipeline in numbers, of all workspaces together, since its topics were made."""

    object: Literal["pipeline"] = "pipeline"
    measured_at: datetime
    accepted: int = Field(description="Records of the input topics.")
    stored: int = Field(description="Records of these topics that ClickHouse has. An audit is exact.")
    stored_twice: int = Field(
        description="Further rows of records that were read twice, as far as they are more than was accepted, until"
        " ClickHouse has merged them."
    )
    stored_earlier: int = Field(
        description="Records that ClickHouse has of earlier topics, as of the embedded broker before its last start."
    )
    dead: int = Field(description="Records that could not become rows.")
    erased: int = Field(description="Records that an erasure has removed.")
    waiting: int = Field(description="Records that no worker has completed yet.")
    lost: int = Field(description="Records that were gone from Kafka before a worker read them.")
    lost_acknowledged: int = Field(description="Lost records that an operator has acknowledged.")
    rates: RecordRates | None = Field(description="Null until this process has looked twice.")
    partitions: list[PartitionLag] = Field(description="Of the workers and of the program that keeps rollups.")
    checks: Checks


class WaitingFeedback(BaseModel):
    """Feedback of one age and origin that no request has joined."""

    age: str = Field(examples=["1 h to 1 d"])
    environment: str
    organisation: str
    pending: int
    orphaned: int
    oldest_at: datetime
    oldest_trace_id: str


class Orphans(BaseModel):
    """What no request has joined, in the caller's workspace, youngest first."""

    object: Literal["list"] = "list"
    pending: int = Field(description="All feedback that waits for its request.")
    orphaned: int = Field(description="All that has waited for longer than FEEDBACK_ORPHAN_AFTER_HOURS.")
    data: list[WaitingFeedback]


def create_router(commands: Commands) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["admin"], responses=REFUSALS | AWAY)
    status, audits = _Status(commands), asyncio.Lock()

    @router.get(
        "/v1/admin/pipeline",
        summary="Is anything stuck?",
        description="Counts and offsets of all workspaces together, and nothing of what anybody has sent.",
    )
    async def get_pipeline(_: AdminCaller) -> PipelineStatus:
        return await status.now()

    @router.post(
        "/v1/admin/audit",
        summary="Count that every accepted record is stored or dead",
        description="What `feedback audit` does. It changes nothing but the result that is kept of it.",
        responses={
            409: {"description": "One is under way.", **example(409, "an audit is under way: wait for its result")}
        },
    )
    async def run_audit(_: AdminCaller) -> CheckResult:
        if audits.locked():
            raise ApiError("an audit is under way: wait for its result", status=409)
        async with audits:
            result = await commands.run("the audit was not made", lambda client: _audit(client, commands))
        status.forget()
        return result

    @router.get(
        "/v1/admin/orphans",
        summary="Feedback that no request has joined, by age",
        description="What `feedback orphans` tells of the caller's workspace.",
    )
    async def get_orphans(caller: AdminCaller) -> Orphans:
        rows = await commands.run("what waits is not known", lambda client: orphan_counts(client, caller.workspace))
        found = [
            WaitingFeedback(
                age=age,
                environment=environment,
                organisation=organisation or "",
                pending=pending,
                orphaned=orphaned,
                oldest_at=parse_time(oldest),
                oldest_trace_id=trace_id,
            )
            for age, environment, organisation, pending, orphaned, oldest, trace_id in rows
        ]
        return Orphans(
            pending=sum(each.pending for each in found), orphaned=sum(each.orphaned for each in found), data=found
        )

    return router


def _audit(client: Client, commands: Commands) -> CheckResult:
    began = datetime.now(UTC)
    accounts = audit(commands.clickhouse_url, *commands.workers)
    if is_foreign_group(accounts):
        raise ApiError(
            f"the group {commands.workers.group} has committed nothing although records are stored: is"
            " FEEDBACK_CONSUMER_GROUP of the API that of the workers?",
            status=409,
        )
    result = result_of(began, faults_of(accounts))
    store_result(client, "audit", result)
    return result


class _Status:
    """The latest measured status, shared by requests that come at about the same time."""

    def __init__(self, commands: Commands) -> None:
        self._commands, self._progress = commands, PipelineProgress()
        self._measuring = asyncio.Lock()
        self._last: PipelineStatus | None = None
        self._good_until_s = 0.0

    def forget(self) -> None:
        """Measure again at the next request."""
        self._last = None

    async def now(self) -> PipelineStatus:
        """The status, measured if the latest is too old. ApiError 503 where an engine does not answer."""
        async with self._measuring:
            if self._last is None or time.monotonic() >= self._good_until_s:
                began = time.monotonic()
                self._last = await self._commands.run("the pipeline's state is not known", self._measure)
                self._good_until_s = time.monotonic() + max(_LEAST_S, _REST * (time.monotonic() - began))
            return self._last

    def _measure(self, client: Client) -> PipelineStatus:
        commands = self._commands
        groups = {commands.workers.group: INPUTS, commands.rollup_group: (ROLLUP_INVALIDATIONS,)}
        # Counts first: what comes in meanwhile is accepted, and not stored without having been accepted.
        found = read_counts(client, commands.workers.offset_base)
        seen = read_offsets(commands.workers.bootstrap, groups)
        self._progress.record(time.monotonic(), seen)
        checks = last_results(client)
        return _status(
            seen,
            found,
            self._progress,
            commands.workers.group,
            Checks(audit=checks.get("audit"), reconcile=checks.get("reconcile")),
        )


def _status(
    offsets_read: GroupOffsets, found: Counts, progress: PipelineProgress, group: str, checks: Checks
) -> PipelineStatus:
    inputs = [offsets for place, offsets in offsets_read.items() if place.group == group]
    rates, accepted = progress.rates(group), sum(each.end for each in inputs)
    twice = found.beyond(accepted)
    return PipelineStatus(
        measured_at=datetime.now(UTC),
        accepted=accepted,
        stored=found.stored - twice,
        stored_twice=twice,
        stored_earlier=found.earlier,
        dead=found.dead,
        erased=found.erased,
        waiting=sum(each.lag for each in inputs),
        lost=found.lost,
        lost_acknowledged=found.acknowledged,
        rates=RecordRates(**rates._asdict()) if rates else None,
        partitions=[
            PartitionLag(
                **place._asdict(),
                start_offset=offsets.start,
                end_offset=offsets.end,
                committed_offset=offsets.committed,
                lag=offsets.lag,
                stalled_s=round(progress.stalled_s(place), 1),
            )
            for place, offsets in offsets_read.items()
        ],
        checks=checks,
    )
