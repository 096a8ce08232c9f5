"""The metrics of the HTTP API and the workers, with name, kind, unit, labels and meaning of each.

docs/metrics.md has the same as a table, and a test compares the two. Label values are few and known beforehand or
bounded by a setting: never an id, a trace, a person or a workspace.
"""

from runtime.fast_metrics import Counter, Gauge, Histogram
from schemas.topics import INPUTS

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)
_KAFKA, _CLICKHOUSE = ("kafka",), ("clickhouse",)

REFUSED_FIELDS = ("trace_id", "value", "weight", "metadata", "request", "response", "cost")
OTLP_OUTCOMES = (
    *(
        "not_kept",
        "trace_id",
        "span_id",
        "time",
        "tokens",
        "metadata",
        "score",
        "forbidden",
        "nul",
        "too_large",
        "other",
    ),
)
"""What becomes of a part of an OTLP export that is not stored."""
DEAD_REASONS = (
    "empty",
    "not_utf8",
    "not_json",
    "invalid",
    "foreign_id",
    "unknown_feedback",
    "deleted_feedback",
    "id_reused",
    "idempotency_key_reused",
)
"""Why a record could not become a row: `feedback dead list` says what to do about each."""
_TABLES = (
    "journal",
    "feedback_rows",
    "trace_aggregate_rows",
    "request_log_rows",
    "dead_letters",
    "idempotency_keys",
    "lost_records",
)

REQUEST_SECONDS = Histogram(
    "feedback_http_request_duration_seconds",
    "seconds",
    "Time from the arrival of a request to its answer; its count is the number of requests. A route is a template"
    " such as /v1/feedback/{feedback_id}, or `other` for an unknown path.",
    ["method", "route", "status"],
    bounds=SECONDS,
)
EVENTS_ACCEPTED = Counter(
    "feedback_edge_events_accepted_total",
    "events",
    "Events that Kafka has acknowledged and that were answered 200.",
    ["kind"],
    [("create",), ("update",), ("delete",), ("request",)],
)
OTLP_LEFT_OUT = Counter(
    "feedback_edge_otlp_left_out_total",
    "items",
    "Spans, log records and evaluations of OTLP exports that are not stored: `not_kept` if they are accepted and hold"
    " nothing to keep, else the reason for which they are rejected.",
    ["outcome"],
    [(outcome,) for outcome in OTLP_OUTCOMES],
)
REQUESTS_REFUSED = Counter(
    "feedback_edge_requests_refused_total",
    "requests",
    "Publishing requests that were refused, by the field at fault or by another reason.",
    ["status", "reason"],
    [*((400, field) for field in REFUSED_FIELDS), *((400, "malformed"), (401, "unauthenticated"), (403, "forbidden"))]
    + [(403, "unknown_host"), (403, "cross_site")]
    + [(404, "unknown"), (409, "conflict"), (413, "too_large"), (429, "too_many"), (500, "internal")]
    + [(503, reason) for reason in ("kafka_unavailable", "outcome_unknown", "other")],
)
PRODUCE_SECONDS = Histogram(
    "feedback_edge_produce_duration_seconds",
    "seconds",
    "Time from sending a batch of events until Kafka acknowledged it.",
    bounds=SECONDS,
)
BATCH_EVENTS = Histogram(
    "feedback_edge_batch_events", "events", "Events of one batch that Kafka has acknowledged.", bounds=_EVENTS[:13]
)
PRODUCERS_LOST = Counter(
    "feedback_edge_producers_lost_total",
    "producers",
    "Producers that were replaced, because Kafka did not acknowledge a batch or went away; everything in flight"
    " was answered 503.",
)
IN_FLIGHT_EVENTS = Gauge(
    "feedback_edge_in_flight_events", "events", "Events that wait for Kafka's acknowledgement now."
)
IN_FLIGHT_BYTES = Gauge(
    "feedback_edge_in_flight_bytes", "bytes", "Bytes of these events; FEEDBACK_MAX_IN_FLIGHT_BYTES bounds them."
)
RECORDS_ACKNOWLEDGED = Gauge(
    "feedback_edge_acknowledged_records",
    "records",
    "Records that Kafka has acknowledged to this process since it started; missing until the first one.",
    ["topic", "partition"],
)
READY = Gauge("feedback_edge_ready", "0 or 1", "Whether Kafka takes events now, as /readyz says.")

QUERY_FAILURES = Counter(
    "feedback_query_engine_failures_total",
    "answers",
    "Answers that failed because an engine failed; `any` if it is unknown which engine was too slow.",
    ["engine"],
    [_CLICKHOUSE, _KAFKA, ("any",)],
)

EXPORTS = Counter(
    "feedback_query_exports_ended_total",
    "exports",
    "Exports that ended in this process.",
    ["outcome"],
    [("success",), ("failed",)],
)
EXPORT_DISK_FREE = Gauge(
    "feedback_query_export_disk_free_bytes", "bytes", "Free bytes on the disk of FEEDBACK_EXPORT_DIR."
)

LAG = Gauge(
    "feedback_consumer_lag_records",
    "records",
    "Records of an assigned partition that are not completed, as of its latest fetch.",
    ["topic", "partition"],
)
OLDEST_SECONDS = Gauge(
    "feedback_consumer_oldest_age_seconds",
    "seconds",
    "Age of the oldest record of an assigned partition that is read and not completed; 0 if there is none.",
    ["topic", "partition"],
)
BATCH_RECORDS = Histogram(
    "feedback_consumer_batch_records", "records", "Records of one consumer batch.", bounds=_EVENTS
)
COMMITS = Counter("feedback_consumer_commits_total", "commits", "Commits of offsets that Kafka has accepted.")
ASSIGNED = Gauge("feedback_consumer_assigned_partitions", "partitions", "Partitions that this program reads now.")
ASSIGNMENTS = Counter(
    "feedback_consumer_assignments_total", "assignments", "How often this program was given partitions."
)
RETRIES = Counter(
    "feedback_worker_retries_total",
    "tries",
    "Failed tries that are repeated until they succeed.",
    ["engine"],
    [_CLICKHOUSE, _KAFKA],
)
UNFORESEEN_FAILURES = Counter(
    "feedback_unforeseen_failures_total",
    "tries",
    "Tries that failed for a reason that is not known to pass; after five in a row the program ends. The log says why.",
)
LOOKUP_SECONDS = Histogram(
    "feedback_worker_lookup_duration_seconds",
    "seconds",
    "Time of one look-up in ClickHouse of what a consumer batch needs and the cache does not hold: `traces`,"
    " idempotency `keys`, or the `last` record of a partition.",
    ["of"],
    [("traces",), ("keys",), ("last",)],
    bounds=SECONDS,
)
CACHE_TRACES = Counter(
    "feedback_worker_cache_traces_total",
    "traces",
    "Traces of consumer batches that were in the cache (`hit`) or not (`miss`).",
    ["result"],
    [("hit",), ("miss",)],
)
INSERT_SECONDS = Histogram(
    "feedback_worker_insert_duration_seconds", "seconds", "Time of all inserts of one consumer batch.", bounds=SECONDS
)
PUBLISH_SECONDS = Histogram(
    "feedback_worker_publish_duration_seconds",
    "seconds",
    "Time to publish all messages of one consumer batch, until the last is acknowledged.",
    bounds=SECONDS,
)
ROWS_STORED = Counter(
    "feedback_worker_rows_stored_total",
    "rows",
    "Rows stored; a record that is read again is counted again.",
    ["table"],
    [(table,) for table in _TABLES],
)
FEEDBACK_STORED = Counter(
    "feedback_worker_feedback_stored_total",
    "rows",
    "Rows of feedback stored, one at each change, by join state: `joined`, `pending`, or `expired` when a trace"
    " is removed.",
    ["join_state"],
    [("pending",), ("joined",), ("expired",)],
)
RECORDS_LOST = Counter(
    "feedback_worker_records_lost_total",
    "records",
    "Records that were gone from Kafka before a worker read them; after a crash the same ones may be counted again.",
    ["topic"],
    [(topic,) for topic in INPUTS],
)
DEAD_LETTERS = Counter(
    "feedback_worker_dead_letters_total",
    "records",
    "Records that could not become rows.",
    ["reason"],
    [(reason,) for reason in DEAD_REASONS],
)

TASKS = {
    "edge and worker": ("watching memory",),
    "edge": ("reading API keys from Kafka", "connecting to Kafka"),
    "query": ("reading API keys from ClickHouse", "removing old exports", "keeping sums of days"),
    "rollup": ("watching ClickHouse's disks",),
    "gateway": ("watching the event loop",),
}
TASK_RESTARTS = Counter(
    "feedback_task_restarts_total",
    "restarts",
    "Restarts of a task that runs for the life of its program; the tenth within a minute ends the program. The"
    " log says why.",
    ["task"],
    [(name,) for names in TASKS.values() for name in names],
)
