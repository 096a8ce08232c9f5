-- A value of an Enum cannot be taken away where the column is in the key, so the rows are copied.
DROP TABLE IF EXISTS feedback.rollup_rows_before;

CREATE TABLE feedback.rollup_rows_before
(
    workspace                LowCardinality(String) COMMENT 'Whose feedback this is',
    period                   Enum8('hour' = 1, 'day' = 2) COMMENT 'Length of the bucket, UTC',
    dimension                Enum8('all' = 1, 'organisation' = 2, 'prompt' = 3, 'user' = 4, 'model' = 5) COMMENT 'What key is; with all it is empty',
    start                    DateTime('UTC') COMMENT 'Start of the hour or day in which the feedback was created',
    environment              LowCardinality(String) COMMENT 'Environment in force; empty if none',
    key                      String COMMENT 'Organisation, prompt or user in force, or a model of the trace; empty if none',
    feedback_count           UInt64 COMMENT 'Feedback that stands or went with its trace; 0 where the group has become empty',
    joined_count             UInt64 COMMENT 'Of these, how many have been joined to a request',
    weighted_count           UInt64 COMMENT 'Of these, how many have a weight above 0',
    weight_sum               Decimal(38, 9) COMMENT 'Sum of weight',
    value_weight_sum         Decimal(38, 9) COMMENT 'Sum of value × weight',
    weight_value_squared_sum Decimal(38, 9) COMMENT 'Sum of weight × value²',
    squared_weight_sum       Decimal(38, 18) COMMENT 'Sum of weight²',
    value_squared_weight_sum Decimal(38, 18) COMMENT 'Sum of value × weight²',
    squared_value_weight_sum Decimal(38, 18) COMMENT 'Sum of (value × weight)²',
    value_counts             Array(UInt64) COMMENT 'How many feedbacks have the value -10, -9 … 10: 21 numbers',
    last_seen                DateTime64(3, 'UTC') COMMENT 'When the newest was created; 1970 where this and the squares are not computed yet',
    version                  UInt128 COMMENT 'Epoch of the bucket << 104, plus a sum over what was read that grows with every change',
    INDEX by_key key TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY (toYYYYMM(start), sipHash64(environment) % 4, sipHash64(key) % 4)
ORDER BY (workspace, period, dimension, start, environment, key)
SETTINGS index_granularity = 1024, min_bytes_for_full_part_storage = 10485760
COMMENT 'All versions of all rollups; read the view rollups for the current ones';

INSERT INTO feedback.rollup_rows_before
SELECT * REPLACE (dimension::String AS dimension) FROM feedback.rollup_rows WHERE dimension != 'prompt_model'
SETTINGS max_partitions_per_insert_block = 0;

EXCHANGE TABLES feedback.rollup_rows AND feedback.rollup_rows_before;

DROP TABLE IF EXISTS feedback.rollup_rows_before;

CREATE OR REPLACE VIEW feedback.rollups
(
    workspace                LowCardinality(String) COMMENT 'Whose feedback this is',
    period                   Enum8('hour' = 1, 'day' = 2) COMMENT 'Length of the bucket, UTC',
    dimension                Enum8('all' = 1, 'organisation' = 2, 'prompt' = 3, 'user' = 4, 'model' = 5) COMMENT 'What key is; with all it is empty. Add up rows of one dimension only',
    start                    DateTime('UTC') COMMENT 'Start of the hour or day in which the feedback was created',
    environment              LowCardinality(String) COMMENT 'Environment in force; empty if none',
    key                      String COMMENT 'Organisation, prompt or user in force, or a model of the trace; empty if none',
    feedback_count           UInt64 COMMENT 'Feedback that stands or went with its trace; with model, once under each model of its trace',
    joined_count             UInt64 COMMENT 'Of these, how many have been joined to a request',
    weighted_count           UInt64 COMMENT 'Of these, how many have a weight above 0',
    weight_sum               Decimal(38, 9) COMMENT 'Sum of weight',
    value_weight_sum         Decimal(38, 9) COMMENT 'Sum of value × weight',
    weight_value_squared_sum Decimal(38, 9) COMMENT 'Sum of weight × value²',
    squared_weight_sum       Decimal(38, 18) COMMENT 'Sum of weight²',
    value_squared_weight_sum Decimal(38, 18) COMMENT 'Sum of value × weight²',
    squared_value_weight_sum Decimal(38, 18) COMMENT 'Sum of (value × weight)²',
    value_counts             Array(UInt64) COMMENT 'How many feedbacks have the value -10, -9 … 10: 21 numbers, to be added by sumForEach',
    last_seen                DateTime64(3, 'UTC') COMMENT 'When the newest was created; 1970 where this and the squares are not computed yet'
)
AS SELECT
    workspace, period, dimension, start, environment, key, feedback_count, joined_count, weighted_count,
    weight_sum, value_weight_sum, weight_value_squared_sum,
    squared_weight_sum, value_squared_weight_sum, squared_value_weight_sum, value_counts, last_seen
FROM feedback.rollup_rows FINAL
WHERE feedback_count > 0 AND start >= (SELECT rollups_since FROM feedback.policy)
    AND (workspace, period, start, toUInt32(bitShiftRight(version, 104))) NOT IN (
        SELECT workspace, period, start, epoch FROM feedback.rollup_void_epochs
    )
COMMENT 'Exact numbers per hour and day, by environment and one more dimension';
