DROP TABLE IF EXISTS feedback.journal;
