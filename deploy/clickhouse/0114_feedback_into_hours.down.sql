DROP VIEW IF EXISTS feedback.feedback_into_hours;
