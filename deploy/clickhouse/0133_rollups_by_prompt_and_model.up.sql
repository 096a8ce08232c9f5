-- Rollups by prompt and model, so that the models of one prompt are compared without a look at its feedback.
--
-- The rollup program computes them for all hours that are kept when it starts next, and until then the API reads rows.
ALTER TABLE feedback.rollup_rows
    MODIFY COLUMN dimension Enum8('all' = 1, 'organisation' = 2, 'prompt' = 3, 'user' = 4, 'model' = 5, 'prompt_model' = 6) COMMENT 'What key is; with all it is empty',
    MODIFY COLUMN key String COMMENT 'Organisation, prompt or user in force, or a model of the trace; empty if none. With prompt_model a JSON list of prompt and model';

CREATE OR REPLACE VIEW feedback.rollups
(
    workspace                LowCardinality(String) COMMENT 'Whose feedback this is',
    period                   Enum8('hour' = 1, 'day' = 2) COMMENT 'Length of the bucket, UTC',
    dimension                Enum8('all' = 1, 'organisation' = 2, 'prompt' = 3, 'user' = 4, 'model' = 5, 'prompt_model' = 6) COMMENT 'What key is; with all it is empty. Add up rows of one dimension only',
    start                    DateTime('UTC') COMMENT 'Start of the hour or day in which the feedback was created',
    environment              LowCardinality(String) COMMENT 'Environment in force; empty if none',
    key                      String COMMENT 'Organisation, prompt or user in force, or a model of the trace; empty if none. With prompt_model a JSON list of prompt and model',
    feedback_count           UInt64 COMMENT 'Feedback that stands or went with its trace; with model and prompt_model, once under each model of its trace',
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
