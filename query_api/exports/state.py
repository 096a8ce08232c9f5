"""What an export is now, from the facts that are written about it.

Pure. Facts are only added, or replaced by the one who wrote them, so that processes need no lock: of several that
claim an attempt the first counts; what a run says of itself counts until it falls silent; a cancellation counts unless
the run had ended before it. What was deleted is no more, whatever else is said of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from query_api.exports.orders import Order

Status = Literal["draft", "in_progress", "success", "failed", "stopped"]


@dataclass(frozen=True)
class Fact:
    """One row of feedback.exports."""

    kind: str
    attempt: int
    runner: str
    content: dict[str, Any]
    noted_at: datetime


@dataclass(frozen=True)
class ExportProgress:
    """How far a run is. `rows_total` was counted when it began; `rows_done` is None where only the whole file tells."""

    rows_total: int | None = None
    rows_done: int | None = None
    bytes_written: int = 0


@dataclass(frozen=True)
class Export:
    """One export as it stands; `attempt` is 0 and `runner` empty before its first start."""

    order: Order
    status: Status
    attempt: int
    runner: str
    updated_at: datetime
    progress: ExportProgress = field(default_factory=ExportProgress)
    error: str | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Held:
    """What an export takes, whatever was ordered; `ended_at` is when its file was whole, None where there is none."""

    status: Status
    bytes_written: int
    ended_at: datetime | None


def export(facts: Iterable[Fact], now: datetime, lease: timedelta) -> Export | None:
    """What the facts about one export come to; None where nothing stands. `now` is by their clock.

    A run that has said nothing for longer than the lease is taken for dead.
    """
    facts = list(facts)
    ordered = next((each for each in facts if each.kind == "order"), None)
    if ordered is None or _is_deleted(facts):
        return None
    updated_at = max(each.noted_at for each in facts)
    attempt = max((each.attempt for each in facts if each.kind == "claim"), default=0)
    claim = winner(facts, attempt)
    if claim is None:
        return Export(Order.stored(ordered.content), "draft", 0, "", updated_at)
    run, cancel = _run_and_end(facts, claim)
    status, error, ended_at = _outcome(claim, run, cancel, now, lease)
    content = run.content if run else {}
    progress = ExportProgress(content.get("rows_total"), content.get("rows_done"), content.get("bytes_written", 0))
    order = Order.stored((claim if status in ("in_progress", "success") else ordered).content)
    return Export(order, status, attempt, claim.runner, updated_at, progress, error, ended_at)


def held(facts: Iterable[Fact], now: datetime, lease: timedelta) -> Held | None:
    """What an export takes, from the facts about its latest attempt; None where they have no claim."""
    facts = list(facts)
    claim = winner(facts, max((each.attempt for each in facts), default=0))
    if claim is None or _is_deleted(facts):
        return None
    run, cancel = _run_and_end(facts, claim)
    status, _, ended_at = _outcome(claim, run, cancel, now, lease)
    content = run.content if run else {}
    return Held(status, content.get("bytes_written", 0), ended_at if status == "success" else None)


def winner(facts: Iterable[Fact], attempt: int) -> Fact | None:
    """The claim that counts for an attempt."""
    claims = (each for each in facts if each.kind == "claim" and each.attempt == attempt)
    return min(claims, key=lambda each: (each.noted_at, each.runner), default=None)


def _is_deleted(facts: Iterable[Fact]) -> bool:
    return any(each.kind == "delete" for each in facts)


def _run_and_end(facts: Iterable[Fact], claim: Fact) -> tuple[Fact | None, Fact | None]:
    """What the run of a claim says, and the cancellation of its attempt."""
    run = cancel = None
    for each in facts:
        if each.kind == "run" and (each.attempt, each.runner) == (claim.attempt, claim.runner):
            run = each
        elif each.kind == "cancel" and each.attempt == claim.attempt:
            cancel = each
    return run, cancel


def _outcome(
    claim: Fact, run: Fact | None, cancel: Fact | None, now: datetime, lease: timedelta
) -> tuple[Status, str | None, datetime | None]:
    state = run.content["state"] if run else "running"
    heard_at = run.noted_at if run else claim.noted_at
    if run and state == "success" and (cancel is None or run.noted_at <= cancel.noted_at):
        return "success", None, run.noted_at
    if cancel:
        return "stopped", None, cancel.noted_at
    if state == "failed":
        return "failed", run.content.get("error") if run else None, heard_at
    if now - heard_at > lease:
        silent = f"nothing was heard of it after {heard_at:%Y-%m-%dT%H:%M:%SZ}"
        return "failed", f"The process that ran it ended or could not reach ClickHouse: {silent}. Start it again.", None
    return "in_progress", None, None
