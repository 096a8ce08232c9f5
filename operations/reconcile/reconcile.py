"""Everything computed again from the journal, compared with what is stored, and put right if asked.

The journal is what was accepted, so it decides, unless it has lost something itself: rows and aggregates must be its
fold, the narrow copy by hour must equal the rows, hours must be what those rows come to, and days what their hours do.
Workers may work meanwhile: what differs is looked at again after a pause, and counts only if it still does.
"""

import time
from dataclasses import replace
from functools import partial

from operations.connections import connect
from operations.progress import Progress
from operations.reconcile.differences import Difference, Scope
from operations.reconcile.hours import copy_anew, hours_copied_wrong
from operations.reconcile.journal import against_journal, requests_without_rows
from operations.reconcile.rollups import rollups, touch

_LONGEST_ANSWER_S = 3600


def reconcile(
    url: str,
    scope: Scope,
    *,
    repair: bool,
    progress: Progress,
    remove: bool = False,
    settle_s: float = 3,
) -> list[Difference]:
    """The differences that were found; with `repair`, put right, and with `remove` also where the journal may be what
    is wrong. What differs must still do so after `settle_s` seconds. `say` is told what cannot be compared.
    ClickHouseError where the engine refuses.
    """
    client, pause = connect(url, _LONGEST_ANSWER_S), partial(time.sleep, settle_s)
    try:
        found = against_journal(client, scope, pause, progress, repair=repair, remove=remove)
        found.append(requests_without_rows(client, scope, pause, progress))
        kept_since = int(str(client.command("SELECT toUnixTimestamp(rollups_since) FROM feedback.policy")))
        scope = replace(scope, since=max(scope.since, kept_since))
        copies, hours = hours_copied_wrong(client, scope, pause, progress)
        found.append(copies)
        if repair and hours:
            copy_anew(client, hours, progress)
            touch(url, hours)
        found += rollups(client, url, scope, pause, progress, repair=repair)
        return [each for each in found if each.number]
    finally:
        client.close()
