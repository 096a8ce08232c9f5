"""The results of the last audit and the last reconcile, stored in ClickHouse for the pipeline page and the API.

A result has counts and kinds of differences, never keys, ids or names of workspaces, because every admin of any
workspace may read it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from clickhouse_connect.driver.client import Client
from pydantic import BaseModel, Field, ValidationError

from operations.retention import store_setting

Check = Literal["audit", "reconcile"]

_NAMES: Mapping[Check, str] = {"audit": "last_audit", "reconcile": "last_reconcile"}
_QUERY = "SELECT name, value FROM feedback.settings FINAL WHERE name IN {names:Array(String)}"


class CheckResult(BaseModel):
    """The result of one check."""

    checked_at: datetime = Field(description="When it had ended.")
    seconds: float = Field(description="How long it took.", examples=[0.4])
    is_whole: bool = Field(True, description="Whether everything was compared, and not one workspace or time alone.")
    is_repaired: bool = Field(
        False, description="Whether it has put right what differed; differences are what is left."
    )
    differences: int = Field(description="Records or rows that are not as they should be.", examples=[0])
    kinds: dict[str, int] = Field(description="The differences by kind.", examples=[{}])


def result_of(
    began: datetime, kinds: Mapping[str, int], *, is_whole: bool = True, is_repaired: bool = False
) -> CheckResult:
    """The result of a check that began at this time and ends now."""
    now = datetime.now(UTC)
    found = {kind: number for kind, number in kinds.items() if number}
    return CheckResult(
        checked_at=now,
        seconds=round((now - began).total_seconds(), 3),
        is_whole=is_whole,
        is_repaired=is_repaired,
        differences=sum(found.values()),
        kinds=found,
    )


def store_result(client: Client, check: Check, result: CheckResult) -> None:
    """Store a result in place of the former one. Raises what the client raises."""
    store_setting(client, _NAMES[check], result.model_dump_json())


def last_results(client: Client) -> dict[Check, CheckResult]:
    """The last result of each check that has been run. Raises what the client raises."""
    rows = {row[0]: row[1] for row in client.query(_QUERY, {"names": list(_NAMES.values())}).result_rows}
    found = {check: _read(rows[name]) for check, name in _NAMES.items() if name in rows}
    return {check: result for check, result in found.items() if result}


def _read(text: str) -> CheckResult | None:
    try:
        return CheckResult.model_validate_json(text)
    except ValidationError:
        return None
