-- What is known of exports: facts that are only added, or replaced by whoever wrote them, so that processes need no
-- lock.
--
-- A row is:    one fact about one export: it was ordered, claimed by a process, has run this far, was cancelled or
--              deleted.
-- Written by:  the API processes.
-- Removed by:  ClickHouse after 400 days. Files are kept for a year at most, so no file can be left of an export by
--              then.
-- Read by:     the API processes; query_api/exports says what the facts come to.
-- Key:         workspace, export, fact, attempt and runner. The row written last replaces the others.
-- Partitions:  none; there are few rows.
CREATE TABLE IF NOT EXISTS feedback.exports
(
    workspace LowCardinality(String) COMMENT 'Whose export this is',
    export_id UUID COMMENT 'The id that POST /v1/logs/exports answered with',
    fact      LowCardinality(String) COMMENT 'order, claim, run, cancel or delete',
    attempt   UInt32 COMMENT 'Which start this is about, from 1; 0 for the order',
    runner    String COMMENT 'Who runs this attempt; empty for order and cancel',
    content   String COMMENT 'JSON of what the fact says',
    noted_at  DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was written, by the clock of ClickHouse'
)
ENGINE = ReplacingMergeTree(noted_at)
ORDER BY (workspace, export_id, fact, attempt, runner)
TTL toDateTime(noted_at) + toIntervalDay(400)
COMMENT 'Facts about exports; read it with FINAL';
