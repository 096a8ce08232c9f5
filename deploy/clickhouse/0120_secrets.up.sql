-- Secrets that all API processes share, such as the one that signs the addresses of exported files.
--
-- A row is:    one secret that a process has made. The one made first under a name is the one in use.
-- Written by:  the API process that finds none.
-- Read by:     the API processes.
-- Key:         name, then when it was made, so that the first row of a name counts.
-- Partitions:  none; there are a handful of rows.
CREATE TABLE IF NOT EXISTS feedback.secrets
(
    name    LowCardinality(String) COMMENT 'What it is for',
    secret  String COMMENT 'Hexadecimal digits from a random source of the operating system',
    made_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was made'
)
ENGINE = MergeTree
ORDER BY (name, made_at, secret)
COMMENT 'Secrets of the API, readable for whoever may read this database';
