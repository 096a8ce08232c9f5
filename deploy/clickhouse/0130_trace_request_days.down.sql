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

ALTER TABLE feedback.request_log_rows RESET SETTING enable_block_number_column;

ALTER TABLE feedback.trace_aggregate_rows
    DROP COLUMN IF EXISTS first_request_day,
    DROP COLUMN IF EXISTS last_request_day,
    RESET SETTING enable_block_number_column;
