-- Traces are removed whole or not at all (docs/design.md). The journal holds the notice of a removal; a feedback that went
-- with its trace has one last row, deleted and of the join state `expired`, and so has the trace.
ALTER TABLE feedback.journal
    MODIFY COLUMN kind Enum8('feedback' = 1, 'request' = 2, 'expiry' = 3)
    COMMENT 'Which topic the event came by: expiry is the notice of a removal, by that of feedback';

ALTER TABLE feedback.trace_aggregate_rows
    ADD COLUMN IF NOT EXISTS is_expired UInt8 DEFAULT 0 AFTER updated_at;

CREATE OR REPLACE VIEW feedback.trace_aggregates
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
    mean_value_weight        Nullable(Float64) COMMENT 'Sum of value × weight ÷ count: Portkey''s weighted average',
    weighted_mean            Nullable(Float64) COMMENT 'Sum of value × weight ÷ sum of weight: the textbook weighted mean',
    requests                 UInt32 COMMENT 'Requests known on the trace',
    updated_at               DateTime64(3, 'UTC') COMMENT 'When the latest feedback event on the trace was accepted',
    version                  UInt64 COMMENT 'Higher is newer; the same number the Kafka message carries'
)
AS SELECT
    workspace, trace_id, feedback_count, weight_sum, value_weight_sum, weight_value_squared_sum,
    value_min, value_max, value_last,
    if(feedback_count = 0, NULL, toFloat64(value_weight_sum) / feedback_count) AS mean_value_weight,
    if(weight_sum = 0, NULL, toFloat64(value_weight_sum) / toFloat64(weight_sum)) AS weighted_mean,
    requests, updated_at, version
FROM feedback.trace_aggregate_rows FINAL
WHERE NOT is_expired
COMMENT 'The numbers of each trace that has or had feedback, one row per trace';

-- What was given stays given: rollups do not shrink when a trace is removed.
ALTER TABLE feedback.feedback_into_hours MODIFY QUERY
SELECT
    workspace, toDateTime(toStartOfHour(created_at), 'UTC') AS hour, feedback_id, value, weight, join_state,
    model, model_number, toUInt32(length(models)) AS model_count,
    _user, _organisation, _prompt, _environment, version, is_deleted
FROM feedback.feedback_rows
ARRAY JOIN if(empty(models), [''], models) AS model, arrayEnumerate(if(empty(models), [''], models)) AS model_number
WHERE join_state != 'expired';

-- ClickHouse drops rows part by part. A day is shown, computed and compared while all of its rows are there.
CREATE OR REPLACE VIEW feedback.policy
(
    orphaned_before DateTime64(3, 'UTC') COMMENT 'Feedback from before this, still without a request, is orphaned',
    rollups_since   DateTime('UTC') COMMENT 'Hours and days from before this are not kept'
)
AS WITH
    toUInt32OrDefault(
        (SELECT anyLast(value) FROM feedback.settings FINAL WHERE name = 'keep_rollups_days'), toUInt32(0)
    ) AS rollups_days,
    toUInt32OrDefault(
        (SELECT anyLast(value) FROM feedback.settings FINAL WHERE name = 'rollups_gone_before'), toUInt32(0)
    ) AS gone_before
SELECT
    now64(3) - toIntervalHour(toUInt32OrDefault(
        (SELECT anyLast(value) FROM feedback.settings FINAL WHERE name = 'orphan_after_hours'), toUInt32(168)
    )) AS orphaned_before,
    greatest(
        toDateTime(gone_before, 'UTC'),
        if(rollups_days = 0, toDateTime(0, 'UTC'), toStartOfDay(now('UTC')) - toIntervalDay(rollups_days))
    ) AS rollups_since
COMMENT 'Settings in force, as queries use them';

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

-- Places in the log of all that was removed with its trace, so that the books still balance. Runs take next to no room.
CREATE TABLE IF NOT EXISTS feedback.expired_records
(
    topic           LowCardinality(String) COMMENT 'Topic the record came by',
    kafka_partition UInt16 COMMENT 'Partition of the topic',
    sequence        UInt64 COMMENT 'Offset in its partition, plus the offset base of its log' CODEC(Delta, ZSTD)
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, kafka_partition, sequence)
COMMENT 'Places in the log whose events went with their traces';

-- What a pass of `feedback expire` is about to remove, so that its mutations look up what does not change meanwhile.
CREATE TABLE IF NOT EXISTS feedback.expiring
(
    trace_hash      UInt32 COMMENT 'Whose traces are removed',
    kafka_partition UInt16 COMMENT 'Partition of the notice and of all that it removes',
    sequence        UInt64 COMMENT 'The notice: feedback events before it go',
    requests_before UInt64 COMMENT 'Requests before this go'
)
ENGINE = MergeTree
ORDER BY trace_hash
COMMENT 'Traces whose removal was decided; empty where no removal is under way';
