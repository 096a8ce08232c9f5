"""Decides which of the chosen dead letters are redriven, and why the others are left."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from clickhouse_connect.driver.client import Client

from operations.dead_letters.guard import latest_events, overtaken
from operations.dead_letters.letters import Letter

Why = Literal["sent_before", "changed_since", "no_value"]


class Left(NamedTuple):
    """A letter that is not sent, and the feedback that has changed since, where that is why."""

    letter: Letter
    why: Why
    feedback_id: str = ""


class Workers(NamedTuple):
    """The workers: Kafka's address, their group, and what they add to offsets (None: as it is noted)."""

    bootstrap: str
    group: str
    offset_base: int | None = None


def choose(
    client: Client, workers: Workers, found: Sequence[Letter], *, again: bool = False, force: bool = False
) -> tuple[list[Letter], list[Left]]:
    """The letters to redrive and those to leave. `again` redrives letters once more, `force` those that undo a change.

    CommandError where Kafka does not answer.
    """
    left = [Left(each, "no_value") for each in found if not each.value]
    left += [Left(each, "sent_before") for each in found if each.value and each.redriven and not again]
    chosen = [each for each in found if each not in {one.letter for one in left}]
    if not force:
        late = overtaken(chosen, latest_events(client, *workers, chosen))
        left += [Left(letter, "changed_since", feedback) for letter, feedback in late.items()]
        chosen = [each for each in chosen if each not in late]
    return chosen, left
