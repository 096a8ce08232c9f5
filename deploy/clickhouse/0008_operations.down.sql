DROP TABLE IF EXISTS feedback.redrives;
DROP TABLE IF EXISTS feedback.erased_records;
