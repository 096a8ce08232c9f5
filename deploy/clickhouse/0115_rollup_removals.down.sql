DROP TABLE IF EXISTS feedback.rollup_removals;
