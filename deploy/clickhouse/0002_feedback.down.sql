DROP VIEW IF EXISTS feedback.feedback;
DROP TABLE IF EXISTS feedback.feedback_rows;
