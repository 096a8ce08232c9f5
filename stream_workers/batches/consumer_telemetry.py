"""Telemetry of the consumer of a Faust app: its batches, its partitions, and how far behind it is.

The rollup program uses it too, which has no Arrow tables: pyarrow would take it a tenth of a second of CPU and 40 MB.
"""

from time import time
from typing import Any

import faust
from aiokafka.consumer.subscription_state import TopicPartitionState
from aiokafka.structs import TopicPartition
from faust.types import TP

from runtime import metrics
from runtime.fast_metrics import Labels
from stream_workers.batches.batch_transport import BatchConsumer, consumer_of
from stream_workers.batches.offset_progress import ConsumerBatch


class ConsumerSensor(faust.Sensor):
    """Measures the consumer batches that an agent of the app is given."""

    def on_stream_event_in(self, tp: Any, offset: int, stream: Any, event: Any) -> None:
        if isinstance(event.value, ConsumerBatch):
            metrics.BATCH_RECORDS.observe(sum(len(part.records) for part in event.value.partitions))


def add_consumer_telemetry(app: faust.App) -> None:
    """Count the batches and assignments of this app; once it has partitions, show which, and how far behind it is."""
    app.sensors.add(ConsumerSensor())

    @app.on_partitions_assigned.connect
    async def assigned(*_: Any, **__: Any) -> None:
        metrics.ASSIGNMENTS.add()
        metrics.ASSIGNED.set_callback(lambda: {(): len(_states_of(consumer_of(app)))})
        metrics.LAG.set_callback(lambda: lag_of(consumer_of(app)))
        metrics.OLDEST_SECONDS.set_callback(lambda: ages_of(consumer_of(app), time()))


def lag_of(consumer: BatchConsumer) -> dict[Labels, float]:
    """By assigned partition, how many of the records that its latest fetch knew of are not acknowledged."""
    lags: dict[Labels, float] = {}
    for tp, state in _states_of(consumer).items():
        acknowledged = consumer.progress.acknowledged_through(TP(*tp))
        if acknowledged is None:
            acknowledged = state._position  # nothing has been read yet
        if acknowledged is not None and state.highwater is not None:
            lags[tp.topic, tp.partition] = max(0, state.highwater - acknowledged)
    return lags


def ages_of(consumer: BatchConsumer, now: float) -> dict[Labels, float]:
    """By assigned partition, the age in seconds of the oldest record that is read and not acknowledged."""
    ages: dict[Labels, float] = {}
    for tp in _states_of(consumer):
        oldest = consumer.progress.oldest_ms(TP(*tp))
        ages[tp.topic, tp.partition] = 0 if oldest is None else max(0.0, now - oldest / 1000)
    return ages


def _states_of(consumer: BatchConsumer) -> dict[TopicPartition, TopicPartitionState]:
    """The state that aiokafka keeps of each assigned partition, read while aiokafka's own thread continues."""
    client = consumer._thread._consumer
    subscription = client._subscription.subscription if client else None
    assignment = subscription.assignment if subscription else None
    return {tp: assignment.state_value(tp) for tp in assignment.tps} if assignment else {}
