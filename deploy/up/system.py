"""All programs of one machine, and the order in which they start and stop: two engines, the edge and the workers.

The edge starts when the topics exist and have the API keys, the workers when tables and topics exist. An engine whose
address is in the environment is used, not started. The embedded broker loses its records when it ends. So the workers
end with it, and start again with the new log, whose offset base is above everything that is stored.
"""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from clickhouse_connect.driver.exceptions import ClickHouseError

from deploy.up import engines
from deploy.up.disk import say_shortages
from deploy.up.health import Check
from deploy.up.lasting_log import base_of_lasting_log
from deploy.up.losses import BrokerLosses, note_lost
from deploy.up.options import Options, program_argv
from deploy.up.program_factory import NEVER_GIVEN_UP, ProgramFactory
from deploy.up.readiness import health, until_http_200
from deploy.up.setup import Setup
from deploy.up.stream_ports import StreamPorts
from deploy.up.supervisor import Command, Program
from deploy.up.unfinished import finish_batches
from deploy.up.watch import HealthWatch
from operations.api_keys.stored_keys import synchronize_when_engines_answer
from operations.broker_offsets import drain, end_offsets_or_none, offset_base, wait_for_highest_sequence
from operations.connections import CommandError
from operations.migrate import migrate
from operations.retention import apply_settings, days_of_traces, store_offset_base
from operations.topics import TopicError, create_topics
from schemas.api_keys import ApiKey

_EXPIRE_EVERY_S, _EXPIRE_WAITS_S = 86_400, 60
# Calls that pass may be long answers, and their logs are sent after them.
_GATEWAY_ENDS_WITHIN_S = 40


class System:
    """All programs. `trouble` becomes the error after which they cannot go on."""

    def __init__(self, options: Options, environment: Mapping[str, str], say: Callable[[str], None]) -> None:
        self.options = options
        self.trouble: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self._say = say
        self.setup = setup = Setup(options, environment)
        self.keys: list[ApiKey] = []
        self._offset_base: int | None = None
        self._losses = BrokerLosses(setup.clickhouse_url, say)
        self._tables_exist = asyncio.Event()
        self._log_is_ready = asyncio.Event()
        self._workers_started = False
        self._background: set[asyncio.Task[None]] = set()
        self._watch = HealthWatch(setup.bootstrap, setup.clickhouse_url, say)
        self._stream_ports = StreamPorts(setup)
        made = ProgramFactory(setup, self._watch, self._stream_ports, self._fail, say)

        self.edge = made.program("edge", self._edge_command, self._edge_is_ready, self._edge_health)
        self.workers = [
            made.stream_program(f"worker-{number + 1}", partial(self._worker_command, number))
            for number in range(options.workers)
        ]
        self.rollup = made.stream_program("rollup", self._rollup_command)
        self.gateway = made.stream_program("gateway", self._gateway_command) if setup.runs_gateway else None
        self.expire = None
        if days_of_traces(environment) is not None:
            self.expire = made.program("expire", self._expire_command, None, self._expire_health, NEVER_GIVEN_UP)
        self.clickhouse = self.broker = None
        if setup.runs_clickhouse:
            self.clickhouse = made.engine(
                "clickhouse", engines.clickhouse_command, engines.until_clickhouse_ready, self._watch.clickhouse
            )
        if setup.is_broker_embedded:
            ready = partial(engines.until_embedded_broker_ready, setup)
            self.broker = made.program("broker", self._embedded_command, ready, self._watch.kafka)
        elif setup.runs_kafka:
            self.broker = made.engine("kafka", engines.kafka_command, engines.until_kafka_ready, self._watch.kafka)

    @property
    def programs(self) -> list[Program]:
        """All programs that run here, in the order in which they are stopped."""
        engines = [program for program in (self.clickhouse, self.broker) if program is not None]
        return [*([self.gateway] if self.gateway else []), self.edge, *self._of_the_log, *engines]

    @property
    def _of_the_log(self) -> list[Program]:
        """The programs that read the log, or use its offsets."""
        return [*self.workers, self.rollup, *([self.expire] if self.expire else [])]

    def start(self) -> None:
        """Start everything. Each program waits for what it needs."""
        if self.clickhouse is None:
            self._alongside(self._make_tables())
        else:
            self.clickhouse.start(self._make_tables)
        while_broker_is_up = self._serve_one_log if self.setup.is_broker_embedded else self._serve_lasting_log
        self._alongside(self._watch.engines(self.clickhouse, self.broker))
        self._alongside(say_shortages(self.setup.disks, self._say))
        if self.broker is None:
            self._alongside(while_broker_is_up())
        else:
            self.broker.start(while_broker_is_up)
        self.edge.start()
        if self.gateway is not None:
            self.gateway.start()

    async def wait_until_ready(self) -> None:
        """Return when all programs are ready."""
        for program in self.programs:
            await program.is_ready.wait()

    async def stop(self) -> int | None:
        """Stop in an order that loses nothing; how many accepted records are not stored, None if that is not known."""
        left: int | None = 0
        if self.gateway is not None:
            await self.gateway.stop(grace=_GATEWAY_ENDS_WITHIN_S)
        await self.edge.stop(grace=15)
        if self.setup.is_broker_embedded and self.broker is not None and self.broker.is_ready.is_set():
            left = await drain(self.setup.bootstrap, self.setup.consumer_group)
        ends = await end_offsets_or_none(self.setup.bootstrap) if left else None
        await asyncio.gather(*(each.stop(grace=10) for each in self._of_the_log))
        if ends is not None and self._offset_base is not None:
            with contextlib.suppress(CommandError, ClickHouseError):
                left = await asyncio.to_thread(note_lost, self.setup.clickhouse_url, self._offset_base, ends)
        for engine in (self.clickhouse, self.broker):
            if engine is not None:
                await engine.stop(grace=20)
        await self.kill()
        return left

    async def kill(self) -> None:
        """Kill everything."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*(program.kill() for program in self.programs))

    async def _make_tables(self) -> None:
        if not self._tables_exist.is_set():
            await asyncio.to_thread(migrate, self.setup.clickhouse_url)
            await asyncio.to_thread(apply_settings, self.setup.clickhouse_url, self.setup.environment)
            self._tables_exist.set()

    async def _serve_one_log(self) -> None:
        """While this embedded broker lives: create topics, set the offset base, and run workers for its log alone."""
        try:
            await self._start_workers()
            await asyncio.Event().wait()
        except TopicError as error:
            # tansu creates any topic that it is asked about, with its own number of partitions, and some other client
            # has asked first: start with a new log.
            if not self.trouble.done():
                self._say(str(error))
            if self.broker is not None:
                self.broker.signal(signal.SIGKILL)
        finally:
            await asyncio.gather(*(each.kill() for each in self._of_the_log))

    async def _serve_lasting_log(self) -> None:
        """When Apache Kafka is up: create topics, set the offset base, and run workers, which survive its restarts."""
        if not self._workers_started:
            await self._start_workers()
            self._workers_started = True

    async def _start_workers(self) -> None:
        await create_topics(self.setup.bootstrap, self.options.partitions)
        await self._tables_exist.wait()
        if not self.setup.is_broker_embedded:
            self._offset_base = await base_of_lasting_log(self.setup)
        # Before the edge serves: if it finds no keys in the log, it takes the server for open.
        found = await synchronize_when_engines_answer(self.setup.clickhouse_url, self.setup.bootstrap)
        self.keys = found.keys
        if found.lacking_in_clickhouse:
            self._say(f"{len(found.lacking_in_clickhouse)} API keys were in Kafka alone and are in ClickHouse again.")
        if self.setup.is_broker_embedded:
            highest = await wait_for_highest_sequence(self.setup.clickhouse_url)
            self._losses.edge_starts(await finish_batches(self.setup, self.options.partitions, self._say))
        self._log_is_ready.set()
        self.edge.signal(signal.SIGCONT)
        if self.setup.is_broker_embedded:
            if self._offset_base is not None:
                await self._losses.report(self._offset_base)
            self._offset_base = offset_base(highest, self._offset_base)
        if self._offset_base is not None:
            await asyncio.to_thread(store_offset_base, self.setup.clickhouse_url, self._offset_base)
        for each in self._of_the_log:
            each.start()

    async def _edge_command(self) -> Command:
        await self._log_is_ready.wait()
        if self.setup.is_broker_embedded and self.edge.starts:
            self._losses.edge_starts(await end_offsets_or_none(self.setup.bootstrap))
        return program_argv("deploy.api"), self.setup.environment

    async def _worker_command(self, number: int) -> Command:
        return program_argv("stream_workers"), {
            **self.setup.with_offset_base(self._offset_base),
            **self._stream_ports.assign(self.workers[number].name, number),
        }

    async def _rollup_command(self) -> Command:
        return program_argv("stream_workers.rollup.app"), {
            **self.setup.environment,
            **self._stream_ports.assign(self.rollup.name, len(self.workers)),
        }

    async def _gateway_command(self) -> Command:
        number = len(self.workers) + 1
        return program_argv("gateway"), self.setup.gateway_environment | self._stream_ports.assign("gateway", number)

    async def _expire_command(self) -> Command:
        if self.setup.is_broker_embedded:  # it must not remove what belongs to an expiry that is stored in part
            await drain(self.setup.bootstrap, self.setup.consumer_group, _EXPIRE_WAITS_S, _EXPIRE_WAITS_S)
        command = [*program_argv("deploy.cli"), "expire", "--every", str(_EXPIRE_EVERY_S)]
        return command, self.setup.with_offset_base(self._offset_base)

    async def _embedded_command(self) -> Command:
        # tansu acknowledges records of a topic that does not exist, and loses them when the topic is created. So the
        # edge is halted until the topics exist and have the API keys; its callers wait.
        self._log_is_ready.clear()
        if self._offset_base is not None:  # there was a log before
            await self._losses.broker_died(self.setup.reachable_host, self.options.port, self.edge.starts)
        self.edge.signal(signal.SIGSTOP)
        return engines.embedded_broker_command(self.setup)

    async def _edge_is_ready(self) -> None:
        await until_http_200(self.setup.reachable_host, self.options.port, "/readyz")

    async def _expire_health(self) -> Check | None:
        return None  # it serves nothing; its log has its errors

    async def _edge_health(self) -> Check | None:
        if not self._log_is_ready.is_set():
            return None  # it is halted, see _embedded_command
        return await health(self.setup.reachable_host, self.options.port)

    def _alongside(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            try:
                await work
            except Exception as error:
                self._fail(error)

        self._background.add(asyncio.create_task(run()))

    def _fail(self, error: Exception) -> None:
        if not self.trouble.done():
            self.trouble.set_result(error)
