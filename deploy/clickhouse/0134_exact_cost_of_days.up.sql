-- The cost of kept days in whole billionths of a cent: a sum of floating-point numbers depends on the order in which they
-- are added. What was kept is forgotten, and kept again when somebody asks.
TRUNCATE TABLE IF EXISTS feedback.request_day_sums;

ALTER TABLE feedback.request_day_sums
    DROP COLUMN IF EXISTS groups.cost,
    ADD COLUMN IF NOT EXISTS groups.cost_sum Array(Int128) COMMENT 'Billionths of a cent' AFTER groups.requests;
