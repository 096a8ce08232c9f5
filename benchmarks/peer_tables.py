"""The tables that the peers insert into: as many columns as their users would keep, in the engine that fits."""

FEEDBACK_COLUMNS = (
    "feedback_id", "workspace", "trace_id", "value", "weight", "created_at", "join_state", "model", "provider",
    "user", "organisation", "prompt", "environment", "metadata",
)  # fmt: skip
AGGREGATE_COLUMNS = (
    "workspace", "trace_id", "feedback_count", "weight_sum", "value_weight_sum", "value_min", "value_max",
    "value_last", "version",
)  # fmt: skip
FEEDBACK = "peer_feedback"
AGGREGATES = "peer_aggregates"
CREATE = (
    f"CREATE TABLE IF NOT EXISTS {FEEDBACK} (feedback_id UUID, workspace LowCardinality(String), trace_id String,"
    " value Int8, weight Float64, created_at DateTime64(3, 'UTC'), join_state LowCardinality(String),"
    " model LowCardinality(String), provider LowCardinality(String), user String, organisation String, prompt String,"
    " environment LowCardinality(String), metadata String) ENGINE = ReplacingMergeTree ORDER BY (workspace,"
    " feedback_id)",
    f"CREATE TABLE IF NOT EXISTS {AGGREGATES} (workspace LowCardinality(String), trace_id String, feedback_count"
    " UInt32,"
    " weight_sum Float64, value_weight_sum Float64, value_min Int8, value_max Int8, value_last Int8, version UInt64)"
    " ENGINE = ReplacingMergeTree(version) ORDER BY (workspace, trace_id)",
)
