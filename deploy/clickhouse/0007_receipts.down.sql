CREATE OR REPLACE VIEW feedback.feedback
AS SELECT
    workspace, feedback_id, trace_id, value, weight, created_at, updated_at, join_state, models, providers,
    _user, _organisation, _prompt, _environment, metadata, version
FROM feedback.feedback_rows FINAL;
ALTER TABLE feedback.dead_letters DROP INDEX IF EXISTS by_feedback;
ALTER TABLE feedback.dead_letters DROP COLUMN IF EXISTS feedback_id;
DROP VIEW IF EXISTS feedback.policy;
DROP TABLE IF EXISTS feedback.settings;
