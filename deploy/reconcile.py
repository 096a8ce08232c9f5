"""Everything computed again from the journal, compared with what is stored, and put right if asked.

The journal is what was accepted, so it decides: rows and aggregates must be its fold, the narrow copy by hour must
equal the rows, and hours and days must be what those rows come to. Workers may work meanwhile: what differs is looked
at again after a pause, and counts only if it still does.
"""

import asyncio
import time
from collections.abc import Callable

import clickhouse_connect

from deploy.differences import Difference, Pause
from deploy.reconcile_journal import against_journal, requests_without_rows
from deploy.reconcile_rollups import hour_rows, rollups


def reconcile(url: str, *, repair: bool, say: Callable[[str], None], pause: Pause = time.sleep) -> list[Difference]:
    """The differences that were found; with `repair`, mended. ClickHouseError where the engine refuses."""
    client = clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False)
    try:
        found = [*against_journal(client, repair, say, pause), *requests_without_rows(client, pause)]
        found += hour_rows(client, repair, pause)
        found += asyncio.run(rollups(url, client, repair, pause))
        return [each for each in found if each.keys]
    finally:
        client.close()
