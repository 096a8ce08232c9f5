"""What callers see of an export, and until when there is its file; pure."""

from datetime import datetime, timedelta
from typing import Final

from query_api.exports.responses import ExportState, ExportStateProgress
from query_api.exports.state import Export, Status
from runtime.http_errors import ApiError
from runtime.times import rfc3339_of

IN_WORDS: Final[dict[Status, str]] = {
    "draft": "not started",
    "in_progress": "in progress",
    "success": "complete",
    "failed": "failed",
    "stopped": "stopped",
}


def expiry(one: Export, keep: timedelta) -> datetime | None:
    """When the file goes, or went; None where there never was one."""
    return one.ended_at + keep if one.status == "success" and one.ended_at else None


def expiry_of_file(one: Export, keep: timedelta, now: datetime) -> datetime:
    """When the file goes that is there now; ApiError 409 where there is none, 410 where its time is over."""
    expires_at = expiry(one, keep)
    if expires_at is None:
        reason = f" ({one.error})" if one.error else ""
        raise ApiError(f"the export is {IN_WORDS[one.status]}{reason}: there is no file", "export_id", status=409)
    if expires_at <= now:
        raise ApiError("the file was removed as its time is over: start the export again", "export_id", status=410)
    return expires_at


def status_of(export_id: str, workspace: str, one: Export, keep: timedelta) -> ExportState:
    """All that callers see of it."""
    order, progress = one.order, one.progress
    expires_at = expiry(one, keep)
    return ExportState(
        id=export_id,
        workspace_id=workspace,
        status=one.status,
        description=order.description,
        filters=order.filters,
        requested_data=list(order.requested_data),
        kind=order.kind,
        format=order.format,
        created_at=order.created_at,
        last_updated_at=rfc3339_of(one.updated_at),
        total_records=progress.rows_done if one.status == "success" else progress.rows_total,
        progress=ExportStateProgress(**vars(progress)),
        error=one.error,
        expires_at=rfc3339_of(expires_at) if expires_at else None,
    )
