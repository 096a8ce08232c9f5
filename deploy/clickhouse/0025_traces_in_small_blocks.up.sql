-- The numbers of traces are looked up by random ids: a page of fifty read fifty granules of 8,192 rows. Granules cannot be
-- changed later, so all rows are written into a table of their own, those of one trace in the order in which they were
-- stored. Workers do not run meanwhile. Wherever this was cut off it may begin again: at any moment the table of this name
-- holds everything.
DROP TABLE IF EXISTS feedback.trace_aggregate_rows_in_small_blocks SYNC SETTINGS max_table_size_to_drop = 0;

CREATE TABLE feedback.trace_aggregate_rows_in_small_blocks
(
    workspace                LowCardinality(String),
    trace_id                 String,
    feedback_count           UInt32,
    weight_sum               Decimal(38, 9),
    value_weight_sum         Decimal(38, 9),
    weight_value_squared_sum Decimal(38, 9),
    value_min                Nullable(Int8),
    value_max                Nullable(Int8),
    value_last               Nullable(Int8),
    requests                 UInt32,
    updated_at               DateTime64(3, 'UTC') DEFAULT toDateTime64(0, 3, 'UTC'),
    is_expired               UInt8 DEFAULT 0,
    version                  UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, trace_id)
SETTINGS index_granularity = 128, min_compress_block_size = 4096, merge_selector_base = 12, min_bytes_for_full_part_storage = 10485760
COMMENT 'All versions of all trace aggregates; read the view trace_aggregates for the current ones';

INSERT INTO feedback.trace_aggregate_rows_in_small_blocks (
    workspace, trace_id, feedback_count, weight_sum, value_weight_sum, weight_value_squared_sum,
    value_min, value_max, value_last, requests, updated_at, is_expired, version
)
SELECT
    workspace, trace_id, feedback_count, weight_sum, value_weight_sum, weight_value_squared_sum,
    value_min, value_max, value_last, requests, updated_at, is_expired, version
FROM feedback.trace_aggregate_rows
ORDER BY workspace, trace_id, version, _block_number
SETTINGS max_insert_threads = 1;

EXCHANGE TABLES feedback.trace_aggregate_rows AND feedback.trace_aggregate_rows_in_small_blocks;

DROP TABLE feedback.trace_aggregate_rows_in_small_blocks SYNC SETTINGS max_table_size_to_drop = 0;
