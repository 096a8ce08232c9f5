-- What the feedback of each trace adds up to, in all versions. Whoever wants the current numbers reads the view
-- trace_aggregates.
--
-- A row is:    the numbers of one trace after one event. They are totals, never changes to be added up.
-- Written by:  workers, and `feedback reconcile --repair` where a row is wrong. The row with the highest version
--              replaces the others of its trace.
-- Removed by:  `feedback erase` and `feedback expire`. A trace that is removed has a last row first, with is_expired.
-- Read by:     the view trace_aggregates, `feedback reconcile`.
-- Key:         workspace and trace.
-- Partitions:  none: a trace has no time.
-- Storage:     small granules and blocks, since a page of requests looks up fifty random traces (docs/design.md).
CREATE TABLE IF NOT EXISTS feedback.trace_aggregate_rows
(
    workspace                LowCardinality(String) COMMENT 'Whose trace this is',
    trace_id                 String COMMENT 'The trace',
    feedback_count           UInt32 COMMENT 'Feedback that stands on the trace',
    weight_sum               Decimal(38, 9) COMMENT 'Sum of weight',
    value_weight_sum         Decimal(38, 9) COMMENT 'Sum of value × weight',
    weight_value_squared_sum Decimal(38, 9) COMMENT 'Sum of weight × value²',
    value_min                Nullable(Int8) COMMENT 'Lowest value; null without feedback',
    value_max                Nullable(Int8) COMMENT 'Highest value; null without feedback',
    value_last               Nullable(Int8) COMMENT 'Value of the feedback created or edited last; null without feedback',
    requests                 UInt32 COMMENT 'Requests known on the trace',
    updated_at               DateTime64(3, 'UTC') DEFAULT toDateTime64(0, 3, 'UTC')
        COMMENT 'When the edge accepted the latest feedback event on the trace',
    is_expired               UInt8 DEFAULT 0 COMMENT '1: the trace was removed for its age, and no view shows it',
    version                  UInt64 COMMENT 'sequence of the last feedback event << 16, plus the requests known, 65,535 at most'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, trace_id)
SETTINGS index_granularity = 128, min_compress_block_size = 4096, merge_selector_base = 12,
    min_bytes_for_full_part_storage = 10485760
COMMENT 'All versions of all trace aggregates; read the view trace_aggregates for the current ones';
