"""A Faust app whose events are consumer batches, and which commits only the offsets that its agent acknowledges.

It asks for the topics every few seconds. A broker that has just come back may not list all topics yet. A consumer that
joins then has nothing to read until it asks again, which Kafka's clients do every five minutes.
"""

import asyncio
from collections.abc import Awaitable

import faust
from mode import Service

from stream_workers.batches.batch_transport import BatchTransport
from stream_workers.batches.consumer_telemetry import add_consumer_telemetry
from stream_workers.health import HEALTH
from stream_workers.settings import ProgramSettings

_TOPICS_MAX_AGE_MS = 3_000


class TaskCancelledError(RuntimeError):
    """A task of a Faust service was cancelled although the service was not stopping."""


class _App(faust.App):
    """A Faust app without folders. Nothing would be kept in them, and any user may have one of that name first."""

    def _create_directories(self) -> None:
        pass


_execute_task = Service._execute_task


async def _execute_task_or_crash(service: Service, task: Awaitable[None]) -> None:
    """Run a task of a service, and crash the service if the task is cancelled. Faust would continue without it."""

    async def task_or_crash() -> None:
        try:
            await task
        except asyncio.CancelledError:
            if not service.should_stop:
                raise TaskCancelledError(f"{service.label}: {task!r}") from None
            raise

    await _execute_task(service, task_or_crash())


def batch_app(settings: ProgramSettings, group: str, max_poll_records: int) -> faust.App:
    """An app of this consumer group; the caller adds topics and agents."""
    Service._execute_task = _execute_task_or_crash  # type: ignore[assignment, method-assign]
    brokers = ";".join(f"kafka://{address.strip()}" for address in settings.kafka_bootstrap.split(","))
    app = _App(
        group,
        broker=brokers,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_wait_empty=False,
        stream_buffer_maxsize=2,
        agent_supervisor="mode.CrashingSupervisor",
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=2 << 20,
        consumer_metadata_max_age_ms=_TOPICS_MAX_AGE_MS,
        broker_max_poll_records=max_poll_records,
        broker_max_poll_interval=24 * 3600.0,
        broker_commit_interval=settings.commit_interval_s,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 4,
        broker_rebalance_timeout=max(settings.session_timeout_s, 30.0),
        producer_request_timeout=30.0,
    )
    app.transport = BatchTransport(app.conf.broker_consumer, app)
    add_consumer_telemetry(app)
    app.task(HEALTH.watch_event_loop)
    return app
