DROP TABLE IF EXISTS feedback.erased_records;
