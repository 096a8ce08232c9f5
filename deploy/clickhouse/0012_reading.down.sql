ALTER TABLE feedback.feedback_rows DROP INDEX IF EXISTS by_join_state;
