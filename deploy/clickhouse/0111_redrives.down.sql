DROP TABLE IF EXISTS feedback.redrives;
