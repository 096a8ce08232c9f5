DROP VIEW IF EXISTS feedback.rollups;
