DROP TABLE IF EXISTS feedback.feedback_rows;
