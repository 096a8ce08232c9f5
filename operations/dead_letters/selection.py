"""Decides which of the chosen dead letters are redriven, and why the others are left."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from clickhouse_connect.driver.client import Client

from operations.dead_letters.guard import latest_events, outdated_letters
from operations.dead_letters.letters import Letter

SkipReason = Literal["sent_before", "changed_since", "no_value"]


class SkippedLetter(NamedTuple):
    """A letter that is not sent, and the feedback that has changed since, where that is why."""

    letter: Letter
    why: SkipReason
    feedback_id: str = ""


class WorkerGroup(NamedTuple):
    """The workers: Kafka's address, their group, and what they add to offsets (None: as it is noted)."""

    bootstrap: str
    group: str
    offset_base: int | None = None


def select(
    client: Client, workers: WorkerGroup, found: Sequence[Letter], *, again: bool = False, force: bool = False
) -> tuple[list[Letter], list[SkippedLetter]]:
    """The letters to redrive and those to leave. `again` redrives letters once more, `force` those that undo a change.

    CommandError where Kafka does not answer.
    """
    skipped = [SkippedLetter(each, "no_value") for each in found if not each.value]
    skipped += [SkippedLetter(each, "sent_before") for each in found if each.value and each.redriven and not again]
    selected = [each for each in found if each not in {each_skipped.letter for each_skipped in skipped}]
    if not force:
        outdated = outdated_letters(selected, latest_events(client, *workers, selected))
        skipped += [SkippedLetter(letter, "changed_since", feedback) for letter, feedback in outdated.items()]
        selected = [each for each in selected if each not in outdated]
    return selected, skipped
