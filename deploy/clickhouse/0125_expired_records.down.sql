DROP TABLE IF EXISTS feedback.expired_records;
