"""Checks at the start of a worker that Kafka's log is not older than what ClickHouse has stored of it."""

import logging

from clickhouse_connect.driver.asyncclient import AsyncClient

from runtime.kafka_offsets import end_offsets
from runtime.log_age import (
    HIGHEST_SEQUENCES,
    HOW_TO_GO_ON,
    OlderLogError,
    highest_of,
    require_later_end,
    within_the_log,
)
from schemas.topics import INPUTS
from stream_workers.io.retry import Backoff, until_done
from stream_workers.settings import WorkerSettings

log = logging.getLogger(__name__)


async def require_newest_log(client: AsyncClient, settings: WorkerSettings) -> None:
    """Return if new records get higher sequences than all stored ones; else OlderLogError, which is logged."""
    found = await until_done(
        "reading the highest stored sequences", lambda: client.query(HIGHEST_SEQUENCES), Backoff(), lambda: None
    )
    highest = within_the_log(highest_of(found.result_rows), settings.offset_base)
    if not highest:
        return
    ends = await until_done(
        "reading where Kafka's logs end", lambda: end_offsets(settings.kafka_bootstrap, INPUTS), Backoff(), lambda: None
    )
    try:
        require_later_end(highest, ends, settings.offset_base)
    except OlderLogError as fault:
        log.critical("the worker cannot go on: %s %s", str(fault), HOW_TO_GO_ON)
        raise
