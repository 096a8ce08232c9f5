DROP TABLE IF EXISTS feedback.settings;
