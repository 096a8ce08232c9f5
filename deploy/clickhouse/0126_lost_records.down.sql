DROP TABLE IF EXISTS feedback.lost_records;
