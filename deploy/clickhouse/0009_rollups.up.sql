-- The newest version of each feedback by the hour it was created in, narrow: what an hour's rollups are computed from.
-- Deleted feedback stays, so that the sum of an hour's versions can only grow.
CREATE TABLE IF NOT EXISTS feedback.feedback_hour_rows
(
    workspace     LowCardinality(String),
    hour          DateTime('UTC'),
    feedback_id   UUID,
    value         Int8,
    weight        Decimal(18, 9),
    join_state    LowCardinality(String),
    models        Array(LowCardinality(String)),
    _user         String,
    _organisation String,
    _prompt       String,
    _environment  LowCardinality(String),
    version       UInt64,
    is_deleted    UInt8
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(hour)
ORDER BY (workspace, hour, feedback_id)
SETTINGS index_granularity = 1024
COMMENT 'Feedback by the hour of its creation, as rollups need it';

CREATE MATERIALIZED VIEW IF NOT EXISTS feedback.feedback_into_hours TO feedback.feedback_hour_rows
AS SELECT
    workspace, toDateTime(toStartOfHour(created_at), 'UTC') AS hour, feedback_id, value, weight, join_state, models,
    _user, _organisation, _prompt, _environment, version, is_deleted
FROM feedback.feedback_rows;

INSERT INTO feedback.feedback_hour_rows
SELECT
    workspace, toDateTime(toStartOfHour(created_at), 'UTC') AS hour, feedback_id, value, weight, join_state, models,
    _user, _organisation, _prompt, _environment, version, is_deleted
FROM feedback.feedback_rows;

-- Absolute numbers per hour and day. All rows of one computation carry one version, the sum of the versions that were
-- read, and with them goes a row of dimension `bucket`. Who reads takes, of each bucket, the rows of the highest version
-- and no others: so a group that has become empty is gone, and a computation that comes late changes nothing.
-- One computation is one block of one partition, and becomes visible whole.
CREATE TABLE IF NOT EXISTS feedback.rollup_rows
(
    workspace                LowCardinality(String),
    period                   Enum8('hour' = 1, 'day' = 2),
    dimension                Enum8('bucket' = 0, 'all' = 1, 'organisation' = 2, 'prompt' = 3, 'user' = 4, 'model' = 5),
    start                    DateTime('UTC'),
    environment              LowCardinality(String),
    key                      String,
    feedback_count           UInt64,
    joined_count             UInt64,
    weight_sum               Decimal(38, 9),
    value_weight_sum         Decimal(38, 9),
    weight_value_squared_sum Decimal(38, 9),
    value_counts             Array(UInt64),
    version                  UInt128
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(start)
ORDER BY (workspace, period, dimension, start, environment, key)
SETTINGS index_granularity = 1024
COMMENT 'All versions of all rollups; read the view rollups';

CREATE VIEW IF NOT EXISTS feedback.rollups
(
    workspace                LowCardinality(String) COMMENT 'Whose feedback this is',
    period                   Enum8('hour' = 1, 'day' = 2) COMMENT 'Length of the bucket, UTC',
    dimension                Enum8('bucket' = 0, 'all' = 1, 'organisation' = 2, 'prompt' = 3, 'user' = 4, 'model' = 5) COMMENT 'What key is; with all it is empty. Add up rows of one dimension only',
    start                    DateTime('UTC') COMMENT 'Start of the hour or day in which the feedback was created',
    environment              LowCardinality(String) COMMENT 'Environment in force; empty if none',
    key                      String COMMENT 'Organisation, prompt or user in force, or a model of the trace; empty if none',
    feedback_count           UInt64 COMMENT 'Feedback that stands; with model, once under each model of its trace',
    joined_count             UInt64 COMMENT 'Of these, how many have been joined to a request',
    weight_sum               Decimal(38, 9) COMMENT 'Sum of weight',
    value_weight_sum         Decimal(38, 9) COMMENT 'Sum of value × weight',
    weight_value_squared_sum Decimal(38, 9) COMMENT 'Sum of weight × value²',
    value_counts             Array(UInt64) COMMENT 'How many feedbacks have the value -10, -9 … 10: 21 numbers, to be added by sumForEach'
)
AS SELECT
    workspace, period, dimension, start, environment, key, feedback_count, joined_count,
    weight_sum, value_weight_sum, weight_value_squared_sum, value_counts
FROM feedback.rollup_rows FINAL
WHERE dimension != 'bucket' AND (workspace, period, start, version) IN (
    SELECT workspace, period, start, max(version) FROM feedback.rollup_rows WHERE dimension = 'bucket'
    GROUP BY workspace, period, start
)
COMMENT 'Exact numbers per hour and day, by environment and one more dimension';
