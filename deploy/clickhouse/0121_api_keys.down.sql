DROP TABLE IF EXISTS feedback.api_keys;
