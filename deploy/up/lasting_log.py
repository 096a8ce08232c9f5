"""The offset base of a log that outlives the broker: that of Apache Kafka here, or of a Kafka elsewhere."""

from deploy.up.setup import Setup
from operations.broker_offsets import base_of_durable_log, require_newest_log
from runtime.log_age import HOW_TO_GO_ON, OlderLogError


async def base_of_lasting_log(setup: Setup) -> int | None:
    """What is added to the offsets of this log; None if that is up to the environment of the programs.

    OlderLogError where the log ends before records that are stored. No event must be accepted for such a log.
    """
    folder = setup.options.data_dir / "kafka"
    base = await base_of_durable_log(folder / "offset_base", setup.clickhouse_url) if setup.runs_kafka else None
    given = int(setup.environment.get("FEEDBACK_OFFSET_BASE") or 0)
    try:
        await require_newest_log(setup.bootstrap, setup.clickhouse_url, given if base is None else base)
    except OlderLogError as error:
        move = f"Move {folder} away and start again: a new log begins above all that is stored."
        raise OlderLogError(f"{error} {move if setup.runs_kafka else HOW_TO_GO_ON}") from None
    return base
