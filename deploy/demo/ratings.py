"""What people and programs say about a conversation of the demo: thumbs, marks, comments, and what they think later.

Users count fully, reviewers nearly, trainees half, and a program that judges answers little. Some feedback comes days
late, some is edited or deleted.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from deploy.demo.languages import comment

COMMENT = "comment"
"""The key of metadata under which the dashboard shows what a person wrote."""


class Rater(NamedTuple):
    """A kind of rater: how many there are, how often each rates, with what weight, and how often with a comment."""

    source: str
    number: int
    chance: float
    weight: float
    comments: float


USER = Rater("user", 1, 0.42, 1.0, 0.4)
_OTHERS = (
    Rater("judge", 1, 0.3, 0.3, 0.0),
    Rater("reviewer", 6, 0.13, 0.8, 0.9),
    Rater("reviewer", 6, 0.05, 0.8, 0.9),
    Rater("trainee", 4, 0.05, 0.5, 0.6),
)
_WHO_IS_DISAPPOINTED_SPEAKS = 1.4
_THUMBS = 0.7
_MISJUDGED = 0.14
_EDITED, _DELETED = 0.07, 0.03


class Opinion(NamedTuple):
    """One feedback: its create, and what changes it later, each with its time."""

    body: dict[str, Any]
    at: datetime
    change: tuple[datetime, dict[str, Any]] | None
    deleted_at: datetime | None


def opinions(random: Random, user: str, language: str, is_good: bool, has_failed: bool, at: datetime) -> list[Opinion]:
    """All that is ever said about what ended so at this moment; without the trace id."""
    return [
        _opinion(random, rater, who, language, is_good, has_failed, at)
        for rater, who in _who_rates(random, user, is_good)
    ]


def opinion_of(random: Random, user: str, language: str, at: datetime) -> Opinion:
    """What a user says about something of which nothing else is known."""
    return _opinion(random, USER, user, language, random.random() < 0.6, False, at)


def _who_rates(random: Random, user: str, is_good: bool) -> Iterator[tuple[Rater, str]]:
    if random.random() < USER.chance * (1 if is_good else _WHO_IS_DISAPPOINTED_SPEAKS):
        yield USER, user
    for rater in _OTHERS:
        if random.random() < rater.chance:
            yield rater, f"{rater.source}-{random.randint(1, rater.number):02}"


def _opinion(
    random: Random, rater: Rater, who: str, language: str, is_good: bool, has_failed: bool, at: datetime
) -> Opinion:
    likes = is_good != (random.random() < _MISJUDGED) and not has_failed
    is_thumb = rater is USER and random.random() < _THUMBS
    metadata = {"_user": who, "source": rater.source, "language": language}
    if random.random() < rater.comments:
        metadata[COMMENT] = comment(random, language, "broken" if has_failed else "praise" if likes else "complaint")
    given = at + _delay(random, rater)
    body = {"value": _value(random, likes, is_thumb), "weight": rater.weight, "metadata": metadata}
    change = deleted_at = None
    if rater.source != "judge" and random.random() < _EDITED:
        text = comment(random, language, "mixed")
        value = -body["value"] if is_thumb else random.randint(-1, 4)  # type: ignore[operator]
        change = given + _later(random), {"value": value, "metadata": metadata | {COMMENT: text}}
    if random.random() < _DELETED:
        deleted_at = (change[0] if change else given) + _later(random)
    return Opinion(body, given, change, deleted_at)


def _value(random: Random, likes: bool, is_thumb: bool) -> int:
    if is_thumb:
        return 1 if likes else -1
    mark = round(random.gauss(6.5, 2.2) if likes else random.gauss(-5, 3))
    return max(-10, min(10, mark))


def _delay(random: Random, rater: Rater) -> timedelta:
    """How long after the answer it is given: at once by a program, soon by most, days later by some."""
    if rater.source == "judge":
        return timedelta(seconds=random.uniform(1, 5))
    if rater is USER and random.random() < 0.85:
        return timedelta(seconds=random.uniform(5, 600))
    return timedelta(hours=random.expovariate(1 / 18))


def _later(random: Random) -> timedelta:
    return timedelta(minutes=1, hours=random.expovariate(1 / 10))
