-- Exports as facts that are only ever added or replaced by their own writer: what was ordered, who claims to run it, how
-- far that run is, who cancelled it. query_api/exports/state.py says what they come to.
CREATE TABLE IF NOT EXISTS feedback.exports
(
    workspace LowCardinality(String) COMMENT 'Whose export this is',
    export_id UUID COMMENT 'The id that POST /v1/logs/exports answered with',
    fact      LowCardinality(String) COMMENT 'order, claim, run or cancel',
    attempt   UInt32 COMMENT 'Which start this is about, from 1; 0 for the order',
    runner    String COMMENT 'Who runs this attempt; empty for order and cancel',
    content   String COMMENT 'JSON of what the fact says',
    noted_at  DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was written, by the clock of ClickHouse'
)
ENGINE = ReplacingMergeTree(noted_at)
ORDER BY (workspace, export_id, fact, attempt, runner)
COMMENT 'Facts about exports; read it with FINAL';

-- Secrets that all processes share; the one made first is the one in use.
CREATE TABLE IF NOT EXISTS feedback.secrets
(
    name    LowCardinality(String) COMMENT 'What it is for',
    secret  String COMMENT 'Hexadecimal digits from a random source of the operating system',
    made_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was made'
)
ENGINE = MergeTree
ORDER BY (name, made_at, secret)
COMMENT 'Secrets of the API, readable for whoever may read this database';
