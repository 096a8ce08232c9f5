"""Ends a program that Kafka does not take into its consumer group, and says why.

aiokafka keeps such an error for whoever reads next, and joins no group until then. A program without partitions reads
nothing: it would stand still for good, and say so in one line of its log.
"""

import asyncio
import logging
from collections.abc import Callable

from aiokafka.errors import BrokerResponseError, KafkaError
from faust.types import AppT

log = logging.getLogger(__name__)

_LOOK_S = 2.0
_WHAT_TO_DO = {
    "InvalidSessionTimeoutError": "set FEEDBACK_SESSION_TIMEOUT_S to what the broker allows"
    " (group.min.session.timeout.ms to group.max.session.timeout.ms: with Apache Kafka 6 s to 1,800 s unless set)",
    "InconsistentGroupProtocolError": "another kind of program is in this group: set FEEDBACK_CONSUMER_GROUP of the"
    " workers, or FEEDBACK_ROLLUP_GROUP of the rollup program, to a group of their own",
    "GroupAuthorizationFailedError": "grant this client the group",
}


class GroupRefusedError(RuntimeError):
    """Kafka does not take this program into its consumer group."""


async def end_if_refused(app: AppT, group_error: Callable[[], KafkaError | None]) -> None:
    """Look every few seconds, for the life of the program; end it if the same error is still there at a second look."""
    former: KafkaError | None = None
    while True:
        await asyncio.sleep(_LOOK_S)
        error = group_error()
        if error is not None and error is former:
            fault = GroupRefusedError(refusal(app.conf.id, error))
            log.critical("the program cannot go on and stops: %s", str(fault))
            await app.crash(fault)
            return
        former = error


def refusal(group: str, error: KafkaError) -> str:
    """What is wrong, and what to do, in one sentence."""
    name = type(error).__name__
    what = _WHAT_TO_DO.get(name) or (error.description if isinstance(error, BrokerResponseError) else str(error))
    return f"Kafka does not take this program into the consumer group {group} ({name}): {what}"
