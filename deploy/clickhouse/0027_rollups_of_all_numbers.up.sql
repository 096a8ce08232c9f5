-- Rollups tell what errors of means are made of, and when the newest feedback was accepted, so that comparisons and groups
-- need no rows. The rollup program computes what is stored without them when it starts: a group with feedback whose
-- last_seen is 0 is not told by these columns yet.
ALTER TABLE feedback.feedback_hour_rows
    ADD COLUMN IF NOT EXISTS created_at DateTime64(3, 'UTC') DEFAULT toDateTime64(hour, 3, 'UTC') AFTER feedback_id;

ALTER TABLE feedback.feedback_into_hours MODIFY QUERY
SELECT
    workspace, toDateTime(toStartOfHour(created_at), 'UTC') AS hour, feedback_id, created_at, value, weight, join_state,
    model, model_number, toUInt32(length(models)) AS model_count,
    _user, _organisation, _prompt, _environment, version, is_deleted
FROM feedback.feedback_rows
ARRAY JOIN if(empty(models), [''], models) AS model, arrayEnumerate(if(empty(models), [''], models)) AS model_number
WHERE join_state != 'expired';

-- What stands, once more, in the places and versions that it has: the last row of a place counts. Of what was removed with
-- its trace only the hour is known.
INSERT INTO feedback.feedback_hour_rows (
    workspace, hour, feedback_id, created_at, value, weight, join_state, model, model_number, model_count,
    _user, _organisation, _prompt, _environment, version, is_deleted
)
SELECT
    workspace, toDateTime(toStartOfHour(created_at), 'UTC') AS hour, feedback_id, created_at, value, weight, join_state,
    model, model_number, toUInt32(length(models)) AS model_count,
    _user, _organisation, _prompt, _environment, version, is_deleted
FROM feedback.feedback_rows FINAL
ARRAY JOIN if(empty(models), [''], models) AS model, arrayEnumerate(if(empty(models), [''], models)) AS model_number
WHERE hour >= (SELECT rollups_since FROM feedback.policy)
SETTINGS max_partitions_per_insert_block = 0, do_not_merge_across_partitions_select_final = 1;

ALTER TABLE feedback.rollup_rows
    ADD COLUMN IF NOT EXISTS weighted_count UInt64 AFTER joined_count,
    ADD COLUMN IF NOT EXISTS squared_weight_sum Decimal(38, 18) AFTER weight_value_squared_sum,
    ADD COLUMN IF NOT EXISTS value_squared_weight_sum Decimal(38, 18) AFTER squared_weight_sum,
    ADD COLUMN IF NOT EXISTS squared_value_weight_sum Decimal(38, 18) AFTER value_squared_weight_sum,
    ADD COLUMN IF NOT EXISTS last_seen DateTime64(3, 'UTC') AFTER value_counts;

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
