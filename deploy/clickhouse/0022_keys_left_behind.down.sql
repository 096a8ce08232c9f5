-- A key that was left behind is then a revoked one, and the server is closed.
ALTER TABLE feedback.api_keys DROP COLUMN IF EXISTS reopened_at;

ALTER TABLE feedback.api_keys DROP COLUMN IF EXISTS read_rate_limit_per_s;
