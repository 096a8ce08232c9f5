"""The metrics of the rollup program, with name, kind, unit, labels and meaning of each."""

from runtime.fast_metrics import Counter, Gauge, Histogram
from runtime.metrics import SECONDS

ROLLUP_BUCKETS = Counter(
    "feedback_rollup_buckets_computed_total",
    "buckets",
    "Hours and days computed, each of one workspace.",
    ["period"],
    [("hour",), ("day",)],
)
ROLLUP_SECONDS = Histogram(
    "feedback_rollup_compute_duration_seconds",
    "seconds",
    "Time to compute all hours and days of one consumer batch.",
    bounds=SECONDS,
)
ROLLUP_RETRIES = Counter(
    "feedback_rollup_retries_total", "tries", "Failed computations that are repeated until they succeed."
)
DISK_FREE = Gauge("feedback_clickhouse_disk_free_bytes", "bytes", "Free bytes on each disk of ClickHouse.", ["disk"])
DISK_TOTAL = Gauge("feedback_clickhouse_disk_total_bytes", "bytes", "Size of each disk of ClickHouse.", ["disk"])
PARTS = Gauge(
    "feedback_clickhouse_partition_parts",
    "parts",
    "Active parts of each table's partition that has the most; from 1,000 on ClickHouse slows inserts down.",
    ["table"],
)
