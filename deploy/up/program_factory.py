"""Makes the programs of one machine: each with its log, its health check, and how often it is started again."""

from collections.abc import Awaitable, Callable
from functools import partial

from deploy.up.health import Check
from deploy.up.setup import Setup
from deploy.up.stream_ports import StreamPorts
from deploy.up.supervisor import Command, Program
from deploy.up.watch import HealthWatch
from runtime.restart_backoff import Restarts

NEVER_GIVEN_UP = partial(Restarts, most=1_000_000, window=600.0, longest=60.0)


class ProgramFactory:
    """Makes programs that are watched alike. `fail` takes the error of one that is given up."""

    def __init__(
        self,
        setup: Setup,
        watch: HealthWatch,
        stream_ports: StreamPorts,
        fail: Callable[[Exception], None],
        say: Callable[[str], None],
    ) -> None:
        self._setup, self._watch, self._stream_ports = setup, watch, stream_ports
        self._fail, self._say = fail, say

    def program(
        self,
        name: str,
        command: Callable[[], Awaitable[Command]],
        ready: Callable[[], Awaitable[None]] | None,
        check: Callable[[], Awaitable[Check | None]],
        restarts: Callable[[], Restarts] = Restarts,
    ) -> Program:
        """A program that `ready` waits for and `check` watches."""
        log = self._setup.options.data_dir / "logs" / f"{name}.log"
        watch = partial(self._watch.until_unwell, check)
        return Program(name, command, ready, log, self._fail, self._say, watch, restarts, self._why_it_may_be)

    def engine(
        self,
        name: str,
        command: Callable[[Setup], Awaitable[Command]],
        ready: Callable[[Setup], Awaitable[None]],
        check: Callable[[], Awaitable[Check]],
    ) -> Program:
        """ClickHouse or Apache Kafka."""
        return self.program(name, partial(command, self._setup), partial(ready, self._setup), check)

    def stream_program(self, name: str, command: Callable[[], Awaitable[Command]]) -> Program:
        """A worker or the rollup program."""
        ready, check = partial(self._stream_ports.until_ready, name), partial(self._stream_ports.health, name)
        # The broker keeps what is accepted while these do not run, so they are never given up.
        return self.program(name, command, ready, check, NEVER_GIVEN_UP)

    def _why_it_may_be(self) -> str:
        """A note that a disk is full, which may stop any program here."""
        return "".join(f" Note: {each.shortage}" for each in self._setup.disks if each.ends_programs)
