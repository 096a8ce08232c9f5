DROP TABLE IF EXISTS feedback.secrets;
