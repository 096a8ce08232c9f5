DROP TABLE IF EXISTS feedback.request_day_sums;
