DROP VIEW IF EXISTS feedback.request_logs;
