CREATE OR REPLACE VIEW feedback.trace_aggregates
AS SELECT
    workspace, trace_id, feedback_count, weight_sum, value_weight_sum, weight_value_squared_sum,
    value_min, value_max, value_last,
    if(feedback_count = 0, NULL, toFloat64(value_weight_sum) / feedback_count) AS mean_value_weight,
    if(weight_sum = 0, NULL, toFloat64(value_weight_sum) / toFloat64(weight_sum)) AS weighted_mean,
    requests, version
FROM feedback.trace_aggregate_rows FINAL;
ALTER TABLE feedback.trace_aggregate_rows DROP COLUMN IF EXISTS updated_at;
DROP TABLE IF EXISTS feedback.idempotency_claims;
