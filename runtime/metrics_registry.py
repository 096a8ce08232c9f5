"""The list of the metrics of each program, and the registry from which a program exports its own."""

from prometheus_client import CollectorRegistry, ProcessCollector

from runtime.fast_metrics import FastMetric
from runtime.gateway_metrics import GATEWAY_CALL_SECONDS, GATEWAY_HELD_BYTES, GATEWAY_LOGS, GATEWAY_OPEN_CALLS
from runtime.metrics import (
    ASSIGNED,
    ASSIGNMENTS,
    BATCH_EVENTS,
    BATCH_RECORDS,
    CACHE_TRACES,
    COMMITS,
    DEAD_LETTERS,
    EVENTS_ACCEPTED,
    EXPORT_DISK_FREE,
    EXPORTS,
    FEEDBACK_STORED,
    IN_FLIGHT_BYTES,
    IN_FLIGHT_EVENTS,
    INSERT_SECONDS,
    LAG,
    LOOKUP_SECONDS,
    OLDEST_SECONDS,
    OTLP_LEFT_OUT,
    PRODUCE_SECONDS,
    PRODUCERS_LOST,
    PUBLISH_SECONDS,
    QUERY_FAILURES,
    READY,
    RECORDS_ACKNOWLEDGED,
    RECORDS_LOST,
    REQUEST_SECONDS,
    REQUESTS_REFUSED,
    RETRIES,
    ROWS_STORED,
    TASK_RESTARTS,
    UNFORESEEN_FAILURES,
)
from runtime.rollup_metrics import DISK_FREE, DISK_TOTAL, PARTS, ROLLUP_BUCKETS, ROLLUP_RETRIES, ROLLUP_SECONDS

_CONSUMER = (LAG, OLDEST_SECONDS, BATCH_RECORDS, COMMITS, ASSIGNED, ASSIGNMENTS, UNFORESEEN_FAILURES)
PROGRAMS: dict[str, tuple[FastMetric, ...]] = {
    "edge": (
        REQUEST_SECONDS,
        EVENTS_ACCEPTED,
        OTLP_LEFT_OUT,
        REQUESTS_REFUSED,
        PRODUCE_SECONDS,
        BATCH_EVENTS,
        PRODUCERS_LOST,
        IN_FLIGHT_EVENTS,
        IN_FLIGHT_BYTES,
        RECORDS_ACKNOWLEDGED,
        READY,
        TASK_RESTARTS,
    ),
    "query": (QUERY_FAILURES, EXPORTS, EXPORT_DISK_FREE, TASK_RESTARTS),
    "worker": (
        *_CONSUMER,
        RETRIES,
        LOOKUP_SECONDS,
        CACHE_TRACES,
        INSERT_SECONDS,
        PUBLISH_SECONDS,
        ROWS_STORED,
        FEEDBACK_STORED,
        DEAD_LETTERS,
        RECORDS_LOST,
        TASK_RESTARTS,
    ),
    "rollup": (*_CONSUMER, ROLLUP_BUCKETS, ROLLUP_SECONDS, ROLLUP_RETRIES, DISK_FREE, DISK_TOTAL, PARTS, TASK_RESTARTS),
    "dashboard": (REQUEST_SECONDS,),
    "gateway": (GATEWAY_CALL_SECONDS, GATEWAY_LOGS, GATEWAY_OPEN_CALLS, GATEWAY_HELD_BYTES, TASK_RESTARTS),
}


def registry_of(*programs: str) -> CollectorRegistry:
    """The metrics of these programs in one process, and of the process itself: memory, CPU time, start, open files."""
    registry = CollectorRegistry()
    for metric in dict.fromkeys(metric for program in programs for metric in PROGRAMS[program]):
        registry.register(metric)
    ProcessCollector(registry=registry)
    return registry
