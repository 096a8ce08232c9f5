TRUNCATE TABLE IF EXISTS feedback.request_day_sums;

ALTER TABLE feedback.request_day_sums
    DROP COLUMN IF EXISTS groups.cost_sum,
    ADD COLUMN IF NOT EXISTS groups.cost Array(Float64) AFTER groups.requests;
