DROP VIEW IF EXISTS feedback.policy;
