"""Rollups of what a benchmark has loaded by SQL, as the rollup program computes them at its start."""

import clickhouse_connect

from stream_workers.rollup.rollups import compute, stale_hours


async def roll_up(address: str) -> int:
    """Compute every hour and day that is not known; how many hours there were."""
    client = await clickhouse_connect.get_async_client(dsn=address, autogenerate_session_id=False)
    try:
        hours = await stale_hours(client)
        await compute(client, hours)
        return len(hours)
    finally:
        await client.close()
