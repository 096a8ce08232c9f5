DROP TABLE IF EXISTS feedback.request_log_rows;
