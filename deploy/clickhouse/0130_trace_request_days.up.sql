-- The days on which the first and the last known request of a trace began, beside its numbers, so that they are known
-- without the requests; and the number of the block in which each request and each trace was stored, so that it is known
-- what has changed since (docs/design.md).
--
-- Rows that stand are stored again with both days, and merged, which takes about ten seconds of CPU for a million
-- traces. Where an older worker writes, both days are 1970.
ALTER TABLE feedback.trace_aggregate_rows
    ADD COLUMN IF NOT EXISTS first_request_day Date
        COMMENT 'Day on which the first known request began, UTC; 1970 where none is known' AFTER requests,
    ADD COLUMN IF NOT EXISTS last_request_day Date
        COMMENT 'Day on which the last known request began, UTC; 1970 where none is known' AFTER first_request_day,
    MODIFY SETTING enable_block_number_column = 1;

ALTER TABLE feedback.request_log_rows MODIFY SETTING enable_block_number_column = 1;

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
    first_request_day        Date COMMENT 'Day on which the first known request began, UTC; 1970 where none is known',
    last_request_day         Date COMMENT 'Day on which the last known request began, UTC; 1970 where none is known',
    updated_at               DateTime64(3, 'UTC') COMMENT 'When the latest feedback event on the trace was accepted',
    version                  UInt64 COMMENT 'Higher is newer; the same number the Kafka message carries'
)
AS SELECT
    workspace, trace_id, feedback_count, weight_sum, value_weight_sum, weight_value_squared_sum,
    value_min, value_max, value_last,
    if(feedback_count = 0, NULL, toFloat64(value_weight_sum) / feedback_count) AS mean_value_weight,
    if(weight_sum = 0, NULL, toFloat64(value_weight_sum) / toFloat64(weight_sum)) AS weighted_mean,
    requests, first_request_day, last_request_day, updated_at, version
FROM feedback.trace_aggregate_rows FINAL
WHERE NOT is_expired
COMMENT 'The numbers of each trace that has or had feedback, one row per trace';

INSERT INTO feedback.trace_aggregate_rows
(
    workspace, trace_id, feedback_count, weight_sum, value_weight_sum, weight_value_squared_sum, value_min, value_max,
    value_last, requests, first_request_day, last_request_day, updated_at, is_expired, version
)
SELECT
    workspace, trace_id, feedback_count, weight_sum, value_weight_sum, weight_value_squared_sum, value_min, value_max,
    value_last, requests, known.first_day, known.last_day, updated_at, is_expired, version
FROM feedback.trace_aggregate_rows AS stored FINAL
INNER JOIN (
    SELECT workspace, trace_id, toDate(min(started_at)) AS first_day, toDate(max(started_at)) AS last_day
    FROM feedback.request_log_rows
    GROUP BY workspace, trace_id
) AS known USING (workspace, trace_id)
WHERE stored.requests > 0 AND stored.first_request_day = toDate(0)
SETTINGS join_algorithm = 'grace_hash', max_bytes_before_external_group_by = 1000000000, insert_deduplicate = 0;

OPTIMIZE TABLE feedback.trace_aggregate_rows FINAL;
