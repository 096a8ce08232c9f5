DROP TABLE IF EXISTS feedback.exports;
