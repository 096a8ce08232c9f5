DROP TABLE IF EXISTS feedback.dead_letters;
