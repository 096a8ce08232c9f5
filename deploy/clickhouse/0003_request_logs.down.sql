DROP VIEW IF EXISTS feedback.request_logs;
DROP TABLE IF EXISTS feedback.request_log_rows;
