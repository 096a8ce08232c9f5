"""Sees that a program cannot work in its consumer group, and says why.

aiokafka keeps the error of a Kafka that does not take a program into the group for whoever reads next, and joins no
group until then. A program without partitions reads nothing: it would stand still for good, and say so in one line of
its log. So it would if another kind of program were in its group: partitions are given to programs that read the same.
"""

import asyncio
from collections.abc import Callable, Collection

from aiokafka.errors import BrokerResponseError, KafkaError

_LOOK_S = 2.0
_A_GROUP_OF_ITS_OWN = (
    "another kind of program is in this group: set FEEDBACK_CONSUMER_GROUP of the workers, or FEEDBACK_ROLLUP_GROUP of"
    " the rollup program, to a group of their own"
)
_WHAT_TO_DO = {
    "InvalidSessionTimeoutError": "set FEEDBACK_SESSION_TIMEOUT_S to what the broker allows"
    " (group.min.session.timeout.ms to group.max.session.timeout.ms: with Apache Kafka 6 s to 1,800 s unless set)",
    "InconsistentGroupProtocolError": _A_GROUP_OF_ITS_OWN,
    "GroupAuthorizationFailedError": "grant this client the group",
}


class GroupRefusedError(RuntimeError):
    """This program cannot work in its consumer group."""


def foreign_topics(of_group: Collection[str] | None, own: Collection[str]) -> frozenset[str] | None:
    """The topics that others in the group read and this program does not; None if there are none."""
    return (frozenset(of_group or ()) - frozenset(own)) or None


async def until_refused(group: str, group_fault: Callable[[], KafkaError | frozenset[str] | None]) -> GroupRefusedError:
    """Look every few seconds; return when the same fault is still there at a second look."""
    former: KafkaError | frozenset[str] | None = None
    while True:
        await asyncio.sleep(_LOOK_S)
        fault = group_fault()
        if fault is not None and fault == former:
            return GroupRefusedError(refusal(group, fault))
        former = fault


def refusal(group: str, fault: KafkaError | frozenset[str]) -> str:
    """What is wrong, and what to do, in one sentence."""
    if isinstance(fault, frozenset):
        return f"others in the consumer group {group} read {', '.join(sorted(fault))}: {_A_GROUP_OF_ITS_OWN}"
    name = type(fault).__name__
    what = _WHAT_TO_DO.get(name) or (fault.description if isinstance(fault, BrokerResponseError) else str(fault))
    return f"Kafka does not take this program into the consumer group {group} ({name}): {what}"
