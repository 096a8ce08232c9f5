"""Checks of the members of consumer groups, for commands that need workers to be stopped, or to run."""

import asyncio

from aiokafka.errors import CoordinatorLoadInProgressError, GroupCoordinatorNotAvailableError

from operations.connections import FIRST_ANSWER_S, CommandError, kafka
from runtime.kafka_admin import group_members, kafka_admin

HOW_TO_STOP = (
    "Stop them first (with Compose: docker compose stop worker rollup; what `feedback up` runs: stop it). One that was"
    " killed counts for another FEEDBACK_SESSION_TIMEOUT_S."
)
_NOT_YET = (CoordinatorLoadInProgressError, GroupCoordinatorNotAvailableError)


def refuse_members(bootstrap: str, *groups: str) -> None:
    """CommandError while any program is a member of one of these groups, or where Kafka does not answer."""
    for group in groups:
        if count := kafka(bootstrap, _members(bootstrap, group)):
            programs = "program is" if count == 1 else "programs are"
            raise CommandError(f"{count} {programs} in the group {group}. {HOW_TO_STOP} Nothing was changed.")


def require_members(bootstrap: str, *groups: str) -> None:
    """CommandError unless a program is a member of each of these groups, or where Kafka does not answer."""
    for group in groups:
        if not kafka(bootstrap, _members(bootstrap, group)):
            raise CommandError(
                f"No program is in the group {group} of Kafka at {bootstrap}: see that `feedback up` runs, or workers"
                " and `feedback rollup`. Nothing was changed."
            )


async def _members(bootstrap: str, group: str) -> int:
    async with kafka_admin(bootstrap) as admin, asyncio.timeout(FIRST_ANSWER_S * 4):
        while True:
            try:
                return len(await group_members(admin, group))
            except _NOT_YET:
                # A Kafka that has never had a group creates the topic of groups at this question.
                await asyncio.sleep(0.2)
