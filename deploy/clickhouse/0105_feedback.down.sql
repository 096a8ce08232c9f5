DROP VIEW IF EXISTS feedback.feedback;
