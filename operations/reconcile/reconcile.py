"""Recomputes everything from the journal, compares it with what is stored, and repairs it if asked to.

The journal has all accepted events, so it decides, unless it has lost entries itself. Rows and aggregates must be what
its entries yield, the copy by hour must equal the rows, the rollups of hours must be computed from that copy, and those
of days from the hours. Workers may run meanwhile: a difference counts only if it is found again after a pause.
"""

import time
from dataclasses import replace
from functools import partial

from operations.connections import connect
from operations.progress import Progress
from operations.reconcile.differences import RowDifference, Scope
from operations.reconcile.hours import copy_again, hours_copied_wrong
from operations.reconcile.journal import compare_with_journal
from operations.reconcile.request_rows import compare_request_rows
from operations.reconcile.rollups import compare_rollups, void_and_recompute

_LONGEST_ANSWER_S = 3600


def reconcile(
    url: str,
    scope: Scope,
    *,
    repair: bool,
    progress: Progress,
    remove: bool = False,
    settle_s: float = 3,
) -> list[RowDifference]:
    """The differences. `repair` repairs them; `remove` does so also where the journal itself may be wrong. A difference
    counts if it is still there after `settle_s` seconds.
    ClickHouseError where the engine refuses.
    """
    client, pause = connect(url, _LONGEST_ANSWER_S), partial(time.sleep, settle_s)
    try:
        found = compare_with_journal(client, scope, pause, progress, repair=repair, remove=remove)
        found += compare_request_rows(client, scope, pause, progress, repair=repair, remove=remove)
        kept_since = int(str(client.command("SELECT toUnixTimestamp(rollups_since) FROM feedback.policy")))
        scope = replace(scope, since=max(scope.since, kept_since))
        copies, hours = hours_copied_wrong(client, scope, pause, progress)
        found.append(copies)
        if repair and hours:
            copy_again(client, hours, progress)
            void_and_recompute(url, hours)
        found += compare_rollups(client, url, scope, pause, progress, repair=repair)
        return [each for each in found if each.number]
    finally:
        client.close()
