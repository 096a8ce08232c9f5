ALTER TABLE feedback.request_log_rows DROP INDEX IF EXISTS by_metadata;
