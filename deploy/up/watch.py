"""Checks the health of all programs again and again, reports those that do not answer, and finds those to restart.

`health.py` decides what a result means. Engines that run elsewhere are checked as well: while one of them does not
answer, no program is restarted for not being ready.
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from deploy.up.health import Check, Patience
from deploy.up.readiness import clickhouse_health, kafka_health
from deploy.up.supervisor import Program

_EVERY_S = 2.0
_REPORTED_AFTER_MISSES = 2


class HealthWatch:
    """The health of programs and engines."""

    def __init__(self, bootstrap: str, clickhouse_url: str, say: Callable[[str], None]) -> None:
        self._bootstrap, self._clickhouse, self._say = bootstrap, urlsplit(clickhouse_url), say
        self._answer = {"ClickHouse": True, "Kafka": True}
        self._patience: dict[str, Patience] = {}

    async def clickhouse(self) -> Check:
        """Check ClickHouse."""
        at = self._clickhouse
        port = at.port or (8443 if at.scheme == "https" else 8123)
        return await clickhouse_health(at.hostname or "", port, https=at.scheme == "https")

    async def kafka(self) -> Check:
        """Check Kafka."""
        return await kafka_health(self._bootstrap)

    async def engines(self, clickhouse: Program | None, broker: Program | None) -> None:
        """Check both engines for ever, from the time when those that run here are ready."""
        for program in (clickhouse, broker):
            if program is not None:
                await program.is_ready.wait()
        # The watch of an engine that runs here reports it.
        reporters = {"ClickHouse": _Reporter(self._say if clickhouse is None else _nothing, "ClickHouse")}
        reporters["Kafka"] = _Reporter(self._say if broker is None else _nothing, "Kafka")
        while True:
            for name, check in (("ClickHouse", await self.clickhouse()), ("Kafka", await self.kafka())):
                self._answer[name] = check.is_alive
                reporters[name].report(check)
            await asyncio.sleep(_EVERY_S)

    async def until_unwell(self, check: Callable[[], Awaitable[Check | None]], program: Program) -> str:
        """Wait until a process that was just started has to be restarted; why. A check is None while it is halted."""
        patience, reporter = self._patience.setdefault(program.name, Patience()), _Reporter(self._say, program.name)
        patience.begin(time.monotonic())
        was_continued = False
        while True:
            await asyncio.sleep(_EVERY_S)
            found = await check()
            if found is None:
                patience.begin(time.monotonic())
                continue
            if program.is_ready.is_set():
                reporter.report(found)
            unwell = patience.verdict(time.monotonic(), found, engines_answer=all(self._answer.values()))
            if unwell and program.name == "broker" and not was_continued:
                # Its records are only in its memory. If it was halted, it may continue.
                was_continued = True
                self._say(f"{program.name}: {unwell}; it gets SIGCONT before it is ended.")
                program.signal(signal.SIGCONT)
                patience.begin(time.monotonic())
            elif unwell:
                return unwell


class _Reporter:
    """Reports once that something does not answer its health check, and once that it answers again."""

    def __init__(self, say: Callable[[str], None], name: str) -> None:
        self._say, self._name, self._misses = say, name, 0

    def report(self, check: Check) -> None:
        """Report the latest check if the state has changed."""
        if check.is_alive and self._misses >= _REPORTED_AFTER_MISSES:
            self._say(f"{self._name} answers again.")
        self._misses = 0 if check.is_alive else self._misses + 1
        if self._misses == _REPORTED_AFTER_MISSES:
            self._say(f"{self._name} does not answer its health check.")


def _nothing(_: str) -> None:
    pass
