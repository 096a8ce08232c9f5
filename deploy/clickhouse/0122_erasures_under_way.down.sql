DROP TABLE IF EXISTS feedback.erasures_under_way;
