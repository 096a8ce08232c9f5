"""Sees that Kafka does not take a program into its consumer group, and says why.

aiokafka keeps such an error for whoever reads next, and joins no group until then. A program without partitions reads
nothing: it would stand still for good, and say so in one line of its log.
"""

import asyncio
from collections.abc import Callable

from aiokafka.errors import BrokerResponseError, KafkaError

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


async def until_refused(group: str, group_error: Callable[[], KafkaError | None]) -> GroupRefusedError:
    """Look every few seconds; return when the same error is still there at a second look."""
    former: KafkaError | None = None
    while True:
        await asyncio.sleep(_LOOK_S)
        error = group_error()
        if error is not None and error is former:
            return GroupRefusedError(refusal(group, error))
        former = error


def refusal(group: str, error: KafkaError) -> str:
    """What is wrong, and what to do, in one sentence."""
    name = type(error).__name__
    what = _WHAT_TO_DO.get(name) or (error.description if isinstance(error, BrokerResponseError) else str(error))
    return f"Kafka does not take this program into the consumer group {group} ({name}): {what}"
