-- Every feedback by the hour it was created in, narrow: what an hour's rollups are computed from. A feedback has a row for
-- each model of its trace (one with the empty string where none is known) under the special fields in force. What an edit
-- or a late request moves elsewhere leaves its former rows behind, and deleted feedback stays as well: so whoever reads an
-- hour knows every group that can ever have been written for it, and writes zeros where nothing is left.
CREATE TABLE IF NOT EXISTS feedback.feedback_hour_rows
(
    workspace     LowCardinality(String),
    hour          DateTime('UTC'),
    feedback_id   UUID,
    value         Int8,
    weight        Decimal(18, 9),
    join_state    LowCardinality(String),
    model         LowCardinality(String),
    model_number  UInt32,
    model_count   UInt32,
    _user         String,
    _organisation String,
    _prompt       String,
    _environment  LowCardinality(String),
    version       UInt64,
    is_deleted    UInt8
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(hour)
PRIMARY KEY (workspace, hour, feedback_id)
ORDER BY (workspace, hour, feedback_id, _environment, _organisation, _prompt, _user, model)
SETTINGS index_granularity = 1024
COMMENT 'Feedback by the hour of its creation and the groups it has ever been in, as rollups need it';

CREATE MATERIALIZED VIEW IF NOT EXISTS feedback.feedback_into_hours TO feedback.feedback_hour_rows
AS SELECT
    workspace, toDateTime(toStartOfHour(created_at), 'UTC') AS hour, feedback_id, value, weight, join_state,
    model, model_number, toUInt32(length(models)) AS model_count,
    _user, _organisation, _prompt, _environment, version, is_deleted
FROM feedback.feedback_rows
ARRAY JOIN if(empty(models), [''], models) AS model, arrayEnumerate(if(empty(models), [''], models)) AS model_number;

-- What was stored before. The rollup program computes these hours when it starts.
INSERT INTO feedback.feedback_hour_rows
SELECT
    workspace, toDateTime(toStartOfHour(created_at), 'UTC') AS hour, feedback_id, value, weight, join_state,
    model, model_number, toUInt32(length(models)) AS model_count,
    _user, _organisation, _prompt, _environment, version, is_deleted
FROM feedback.feedback_rows
ARRAY JOIN if(empty(models), [''], models) AS model, arrayEnumerate(if(empty(models), [''], models)) AS model_number;

-- One mark for each time that rows of an hour were physically removed. The epoch of an hour is the number of its marks,
-- that of a day the number of its hours' marks.
CREATE TABLE IF NOT EXISTS feedback.rollup_removals
(
    workspace LowCardinality(String) COMMENT 'Whose feedback was removed',
    hour      DateTime('UTC') COMMENT 'Start of the hour in which it was created',
    removal   UUID COMMENT 'Which removal this was'
)
ENGINE = ReplacingMergeTree
ORDER BY (workspace, hour, removal)
COMMENT 'Hours of which feedback has been physically removed, once for each time';

CREATE VIEW IF NOT EXISTS feedback.rollup_void_epochs
AS SELECT workspace, period, start, arrayJoin(range(toUInt32(count()))) AS epoch
FROM (SELECT workspace, hour, toDateTime(toStartOfDay(hour), 'UTC') AS day FROM feedback.rollup_removals FINAL)
ARRAY JOIN
    CAST(['hour', 'day'], 'Array(Enum8(\'hour\' = 1, \'day\' = 2))') AS period,
    [hour, day] AS start
GROUP BY workspace, period, start
COMMENT 'Epochs of a bucket whose rollup rows count no more; how many there are is the epoch that does';

-- The numbers of each group in an hour or a day, absolute. A version is the epoch of the bucket << 104, plus a sum over
-- what was read that grows with every change (stream_workers/rollup/rollups.py).
CREATE TABLE IF NOT EXISTS feedback.rollup_rows
(
    workspace                LowCardinality(String),
    period                   Enum8('hour' = 1, 'day' = 2),
    dimension                Enum8('all' = 1, 'organisation' = 2, 'prompt' = 3, 'user' = 4, 'model' = 5),
    start                    DateTime('UTC'),
    environment              LowCardinality(String),
    key                      String,
    feedback_count           UInt64,
    joined_count             UInt64,
    weight_sum               Decimal(38, 9),
    value_weight_sum         Decimal(38, 9),
    weight_value_squared_sum Decimal(38, 9),
    value_counts             Array(UInt64),
    version                  UInt128,
    INDEX by_key key TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY (toYYYYMM(start), sipHash64(environment) % 4, sipHash64(key) % 4)
ORDER BY (workspace, period, dimension, start, environment, key)
SETTINGS index_granularity = 1024
COMMENT 'All versions of all rollups; read the view rollups for the current ones';

CREATE VIEW IF NOT EXISTS feedback.rollups
(
    workspace                LowCardinality(String) COMMENT 'Whose feedback this is',
    period                   Enum8('hour' = 1, 'day' = 2) COMMENT 'Length of the bucket, UTC',
    dimension                Enum8('all' = 1, 'organisation' = 2, 'prompt' = 3, 'user' = 4, 'model' = 5) COMMENT 'What key is; with all it is empty. Add up rows of one dimension only',
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
WHERE feedback_count > 0 AND (workspace, period, start, toUInt32(bitShiftRight(version, 104))) NOT IN (
    SELECT workspace, period, start, epoch FROM feedback.rollup_void_epochs
)
COMMENT 'Exact numbers per hour and day, by environment and one more dimension';
