"""Traces removed while everything else happens: a pass of `feedback expire` over those that rested for two seconds."""

import contextlib
import threading
import time

from clickhouse_connect.driver.exceptions import ClickHouseError

from operations.connections import CommandError
from operations.expire.expiry import ExpiryTarget, expire
from operations.progress import Progress
from tests.chaos.system import System

_AT_REST_S = 2


class Removal(threading.Thread):
    """One pass beside whatever goes wrong. One that fails leaves its work to the next, as the command does."""

    def __init__(self, system: System) -> None:
        super().__init__()
        self._place = place_of(system)

    def run(self) -> None:
        """Remove what has rested."""
        with contextlib.suppress(CommandError, ClickHouseError, OSError):  # an engine was away
            expire(self._place, int(time.time()) - _AT_REST_S, Progress())


def place_of(system: System) -> ExpiryTarget:
    """Where the engines and the workers are."""
    return ExpiryTarget(system.clickhouse_url, system.bootstrap, "feedback-workers", patience_s=20)
