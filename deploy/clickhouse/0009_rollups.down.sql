DROP VIEW IF EXISTS feedback.rollups;
DROP TABLE IF EXISTS feedback.rollup_rows;
DROP VIEW IF EXISTS feedback.rollup_void_epochs;
DROP TABLE IF EXISTS feedback.rollup_removals;
DROP VIEW IF EXISTS feedback.feedback_into_hours;
DROP TABLE IF EXISTS feedback.feedback_hour_rows;
