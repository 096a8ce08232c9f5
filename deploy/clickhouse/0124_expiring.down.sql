DROP TABLE IF EXISTS feedback.expiring;
