DROP VIEW IF EXISTS feedback.rollup_void_epochs;
