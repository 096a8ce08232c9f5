"""Has workers finish what was left of the last log of the embedded broker when they, or everything, were killed."""

import asyncio
from collections import Counter
from collections.abc import Callable

from aiokafka.errors import KafkaError
from clickhouse_connect.driver.exceptions import ClickHouseError

from deploy.up.setup import Setup
from operations.connections import CommandError, clickhouse
from operations.produce import invalidation, send
from operations.progress import Progress
from operations.unfinished_batches import TraceOfWorkspace, find_unfinished, wait_for_inserts
from runtime.kafka_offsets import Offsets
from runtime.settings_errors import load
from schemas.ids import partition_of
from stream_workers.settings import WorkerSettings

# A worker stops to gather records at half of its limit, and may get as many as the limit with the last fetch.
_LIMITS_OF_A_BATCH = 1.5


async def finish_batches(setup: Setup, partitions: int, say: Callable[[str], None]) -> Offsets | None:
    """Send an event for each trace that is stored in part, as the first records of a new log. No worker may run.

    The ends of the log; None where they are not known.
    """
    most_records = int(_LIMITS_OF_A_BATCH * load(WorkerSettings).max_poll_records)
    try:
        traces = await asyncio.to_thread(_find, setup.clickhouse_url, partitions, most_records)
        events = [invalidation(each.workspace, each.trace_hash) for each in traces]
        await send(setup.bootstrap, events, "traces to be finished", Progress())
    except (CommandError, ClickHouseError, KafkaError) as error:
        say(f"what killed workers may have stored in part was not looked for ({error}): `feedback reconcile` finds it.")
        return None
    if traces:
        count = "1 trace" if len(traces) == 1 else f"{len(traces):,} traces"
        say(f"killed workers had stored {count} in part; the workers store the rest now.")
    return dict(Counter((each.topic, partition_of(each.trace_hash, partitions)) for each in events))


def _find(clickhouse_url: str, partitions: int, most_records: int) -> list[TraceOfWorkspace]:
    with clickhouse(clickhouse_url) as client:
        wait_for_inserts(client)
        return find_unfinished(client, partitions, most_records)
