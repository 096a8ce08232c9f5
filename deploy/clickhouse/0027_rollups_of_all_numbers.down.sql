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
    weight_sum               Decimal(38, 9) COMMENT 'Sum of weight',
    value_weight_sum         Decimal(38, 9) COMMENT 'Sum of value × weight',
    weight_value_squared_sum Decimal(38, 9) COMMENT 'Sum of weight × value²',
    value_counts             Array(UInt64) COMMENT 'How many feedbacks have the value -10, -9 … 10: 21 numbers, to be added by sumForEach'
)
AS SELECT
    workspace, period, dimension, start, environment, key, feedback_count, joined_count,
    weight_sum, value_weight_sum, weight_value_squared_sum, value_counts
FROM feedback.rollup_rows FINAL
WHERE feedback_count > 0 AND start >= (SELECT rollups_since FROM feedback.policy)
    AND (workspace, period, start, toUInt32(bitShiftRight(version, 104))) NOT IN (
        SELECT workspace, period, start, epoch FROM feedback.rollup_void_epochs
    )
COMMENT 'Exact numbers per hour and day, by environment and one more dimension';

ALTER TABLE feedback.rollup_rows
    DROP COLUMN IF EXISTS weighted_count,
    DROP COLUMN IF EXISTS squared_weight_sum,
    DROP COLUMN IF EXISTS value_squared_weight_sum,
    DROP COLUMN IF EXISTS squared_value_weight_sum,
    DROP COLUMN IF EXISTS last_seen
SETTINGS mutations_sync = 2;

ALTER TABLE feedback.feedback_into_hours MODIFY QUERY
SELECT
    workspace, toDateTime(toStartOfHour(created_at), 'UTC') AS hour, feedback_id, value, weight, join_state,
    model, model_number, toUInt32(length(models)) AS model_count,
    _user, _organisation, _prompt, _environment, version, is_deleted
FROM feedback.feedback_rows
ARRAY JOIN if(empty(models), [''], models) AS model, arrayEnumerate(if(empty(models), [''], models)) AS model_number
WHERE join_state != 'expired';

ALTER TABLE feedback.feedback_hour_rows DROP COLUMN IF EXISTS created_at SETTINGS mutations_sync = 2;
