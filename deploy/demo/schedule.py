"""When things happen in the demo's week: busy hours, the new version of a prompt, the bad release and its end."""

import math
from datetime import UTC, datetime, timedelta
from random import Random

from deploy.demo.app import REGIONS

WEEK = timedelta(days=7)
_HOURS = 7 * 24
_ROLLOUT = timedelta(hours=12)
_BAD_FROM_HOUR, _BAD_HOURS = 9, 5
_MENDED_AFTER = timedelta(hours=20)
# The last visits begin so long before the end that they are over by then.
_LAST_VISIT = timedelta(minutes=15)
_NIGHT, _WEEKEND = 0.05, 0.35


class Schedule:
    """The week that ends at `end`."""

    def __init__(self, end: datetime) -> None:
        self.end = end.astimezone(UTC)
        self.start = self.end - WEEK
        self._rollout = self.start + WEEK / 2
        today = self.end.replace(hour=0, minute=0, second=0, microsecond=0)
        days = (today - timedelta(days=back) for back in (2, 3, 4))
        working_day = next(day for day in days if not _is_weekend(day))
        self.bad_from = working_day + timedelta(hours=_BAD_FROM_HOUR)
        self.bad_until = self.bad_from + timedelta(hours=_BAD_HOURS)
        self._weights = {region: self._hourly(ahead) for region, ahead in REGIONS.items()}

    def visit_at(self, random: Random, region: str) -> datetime:
        """A moment of the week, more likely a busy one."""
        (hour,) = random.choices(range(_HOURS), self._weights[region])
        at = self.start + timedelta(hours=hour, seconds=random.random() * 3600)
        return min(at, self.end - _LAST_VISIT)

    def load(self, at: datetime) -> float:
        """How busy the app is, from 0 to 1."""
        return sum(_busy(at + timedelta(hours=ahead)) for ahead in REGIONS.values()) / len(REGIONS)

    def share_of_new_prompt(self, at: datetime) -> float:
        """Of how many requests the new version of the prompt is, from 0 to 1."""
        return min(1.0, max(0.0, (at - self._rollout) / _ROLLOUT))

    def is_bad(self, at: datetime, environment: str) -> bool:
        """Whether the bad release answers."""
        return environment == "production" and self.bad_from <= at < self.bad_until

    def release(self, at: datetime, environment: str) -> str:
        """The release that answers: the bad one was taken back, and a mended one came a day later."""
        if at >= self.bad_until + _MENDED_AFTER:
            return "r43"
        return "r42" if self.is_bad(at, environment) else "r41"

    def _hourly(self, ahead: int) -> list[float]:
        return [_busy(self.start + timedelta(hours=hour + ahead)) for hour in range(_HOURS)]


def _busy(local: datetime) -> float:
    day = math.sin(math.pi * (local.hour + local.minute / 60 - 6) / 15) if 6 <= local.hour < 21 else 0.0
    return max(_NIGHT, day) * (_WEEKEND if _is_weekend(local) else 1.0)


def _is_weekend(day: datetime) -> bool:
    return day.weekday() >= 5
