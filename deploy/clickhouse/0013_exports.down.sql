DROP TABLE IF EXISTS feedback.exports;
DROP TABLE IF EXISTS feedback.secrets;
