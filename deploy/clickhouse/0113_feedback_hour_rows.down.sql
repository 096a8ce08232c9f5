DROP TABLE IF EXISTS feedback.feedback_hour_rows;
