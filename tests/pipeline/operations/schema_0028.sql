-- The tables and views as migration 28 left them, and the records of the 28: what `operations/carry_schema.py` takes over.
-- Made once from system.tables of the last version that had these migrations, and not to be changed.
CREATE DATABASE IF NOT EXISTS feedback;

CREATE TABLE feedback.schema_migrations
(
    `version` UInt32 COMMENT 'The number its file begins with',
    `name` String COMMENT 'The name of its file',
    `changed_at` DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was applied or undone',
    `is_undone` UInt8 DEFAULT 0
)
ENGINE = ReplacingMergeTree(changed_at, is_undone)
ORDER BY version
SETTINGS index_granularity = 8192
COMMENT 'Migrations in force; read it with FINAL';

CREATE TABLE feedback.journal
(
    `trace_hash` UInt32 COMMENT 'murmur2 of the trace key; ids carry it',
    `kind` Enum8('feedback' = 1, 'request' = 2, 'expiry' = 3) COMMENT 'Which topic the event came by: expiry is the notice of a removal, by that of feedback',
    `id` UUID COMMENT 'feedback_id or request_id',
    `sequence` UInt64 COMMENT 'Offset in its partition, plus the offset base of its log',
    `kafka_partition` UInt16 COMMENT 'Partition of the topic',
    `recorded_at` DateTime('UTC') COMMENT 'When the edge accepted the event',
    `line` String COMMENT 'What a look-up answers, as JSON: [trace_hash, id, sequence, entry]' CODEC(LZ4),
    `entry` String ALIAS substring(line, position(line, '{'), length(line) - position(line, '{')) COMMENT 'The feedback event as JSON, or what a request adds to its trace'
)
ENGINE = ReplacingMergeTree
ORDER BY (trace_hash, kind, id, sequence)
SETTINGS index_granularity = 64, min_compress_block_size = 4096, merge_selector_base = 12, min_bytes_for_full_part_storage = 10485760
COMMENT 'Every accepted event, by trace: raw history and the state of the join';

CREATE TABLE feedback.settings
(
    `name` String COMMENT 'As the environment variable, without FEEDBACK_, in lower case',
    `value` String,
    `changed_at` DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = ReplacingMergeTree(changed_at)
ORDER BY name
SETTINGS index_granularity = 8192
COMMENT 'Settings in force';

CREATE VIEW feedback.policy
(
    `orphaned_before` DateTime64(3, 'UTC') COMMENT 'Feedback from before this, still without a request, is orphaned',
    `rollups_since` DateTime('UTC') COMMENT 'Hours and days from before this are not kept'
)
COMMENT 'Settings in force, as queries use them'
AS WITH
    toUInt32OrDefault((
        SELECT anyLast(value)
        FROM feedback.settings
        FINAL
        WHERE name = 'keep_rollups_days'
    ), toUInt32(0)) AS rollups_days,
    toUInt32OrDefault((
        SELECT anyLast(value)
        FROM feedback.settings
        FINAL
        WHERE name = 'rollups_gone_before'
    ), toUInt32(0)) AS gone_before
SELECT
    now64(3) - toIntervalHour(toUInt32OrDefault((
        SELECT anyLast(value)
        FROM feedback.settings
        FINAL
        WHERE name = 'orphan_after_hours'
    ), toUInt32(168))) AS orphaned_before,
    greatest(toDateTime(gone_before, 'UTC'), if(rollups_days = 0, toDateTime(0, 'UTC'), toStartOfDay(now('UTC')) - toIntervalDay(rollups_days))) AS rollups_since;

CREATE TABLE feedback.feedback_rows
(
    `workspace` LowCardinality(String),
    `feedback_id` UUID,
    `trace_id` String,
    `value` Int8,
    `weight` Decimal(18, 9),
    `created_at` DateTime64(3, 'UTC'),
    `updated_at` DateTime64(3, 'UTC'),
    `join_state` LowCardinality(String),
    `models` Array(LowCardinality(String)),
    `providers` Array(LowCardinality(String)),
    `_user` String,
    `_organisation` String,
    `_prompt` String,
    `_environment` LowCardinality(String),
    `metadata` String CODEC(ZSTD(1)),
    `metadata_texts` Map(LowCardinality(String), String) MATERIALIZED CAST(arrayMap(pair -> (pair.1, multiIf(startsWith(pair.2, '"'), JSONExtractString(pair.2), (pair.2) = 'null', '', pair.2)), arrayFilter(pair -> ((pair.1) NOT IN ('_user', '_organisation', '_prompt', '_environment')), JSONExtractKeysAndValuesRaw(metadata))), 'Map(LowCardinality(String), String)') CODEC(ZSTD(1)),
    `home_user` String,
    `home_organisation` String,
    `home_prompt` String,
    `home_environment` LowCardinality(String),
    `version` UInt64,
    `is_deleted` UInt8,
    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_user _user TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_organisation _organisation TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_prompt _prompt TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_environment _environment TYPE set(16) GRANULARITY 1,
    INDEX by_model models TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_join_state join_state TYPE set(4) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY (toYYYYMM(created_at), home_environment, sipHash64(home_organisation) % 4)
PRIMARY KEY (toYYYYMM(created_at), home_environment, sipHash64(home_organisation) % 4, workspace, created_at)
ORDER BY (toYYYYMM(created_at), home_environment, sipHash64(home_organisation) % 4, workspace, created_at, feedback_id, home_organisation, home_prompt, home_user)
SETTINGS index_granularity = 1024, merge_selector_base = 12, min_bytes_for_full_part_storage = 10485760
COMMENT 'All versions of all feedback; read the view feedback for the current ones';

CREATE VIEW feedback.feedback
(
    `workspace` LowCardinality(String) COMMENT 'Whose feedback this is',
    `feedback_id` UUID COMMENT 'The one id of this feedback for ever',
    `trace_id` String COMMENT 'The trace it is about',
    `value` Int8 COMMENT 'How good the answer was, -10 to 10',
    `weight` Decimal(18, 9) COMMENT 'How much it counts, 0 to 1',
    `created_at` DateTime64(3, 'UTC') COMMENT 'When it was accepted',
    `updated_at` DateTime64(3, 'UTC') COMMENT 'When its last event was accepted',
    `join_state` LowCardinality(String) COMMENT 'joined: a request has its trace id; pending: none yet; orphaned: none for long, it still joins',
    `models` Array(LowCardinality(String)) COMMENT 'Models of all requests on the trace, sorted; empty if none is known',
    `providers` Array(LowCardinality(String)) COMMENT 'Providers of all requests on the trace, sorted; empty if none is known',
    `_user` String COMMENT 'Special field in force: its own, else that of the earliest request; empty if none',
    `_organisation` String COMMENT 'Special field in force: its own, else that of the earliest request; empty if none',
    `_prompt` String COMMENT 'Special field in force: its own, else that of the earliest request; empty if none',
    `_environment` LowCardinality(String) COMMENT 'Special field in force: its own, else that of the earliest request; empty if none',
    `metadata` String COMMENT 'All metadata of the feedback, as JSON text',
    `metadata_texts` Map(LowCardinality(String), String) COMMENT 'The same by key, without the special fields: text as it is, other values as JSON',
    `version` UInt64 COMMENT 'Higher is newer; the same number the Kafka message carries'
)
COMMENT 'Every feedback that stands, one current row per id'
AS SELECT
    workspace,
    feedback_id,
    trace_id,
    value,
    weight,
    created_at,
    updated_at,
    if((join_state = 'pending') AND (created_at < (
        SELECT orphaned_before
        FROM feedback.policy
    )), 'orphaned', join_state) AS join_state,
    models,
    providers,
    _user,
    _organisation,
    _prompt,
    _environment,
    metadata,
    metadata_texts,
    version
FROM feedback.feedback_rows
FINAL;

CREATE TABLE feedback.request_log_rows
(
    `workspace` LowCardinality(String),
    `request_id` UUID,
    `trace_id` String,
    `span_id` String,
    `parent_span_id` String,
    `span_name` String,
    `started_at` DateTime64(3, 'UTC'),
    `received_at` DateTime64(3, 'UTC'),
    `provider` LowCardinality(String),
    `model` LowCardinality(String),
    `method` LowCardinality(String),
    `url` String,
    `status` UInt16,
    `response_time_ms` Nullable(Float64),
    `prompt_tokens` Nullable(UInt64),
    `completion_tokens` Nullable(UInt64),
    `total_tokens` Nullable(UInt64),
    `cost` Nullable(Float64),
    `_user` String,
    `_organisation` String,
    `_prompt` String,
    `_environment` LowCardinality(String),
    `metadata` String CODEC(ZSTD(1)),
    `metadata_texts` Map(LowCardinality(String), String) MATERIALIZED CAST(arrayMap(pair -> (pair.1, multiIf(startsWith(pair.2, '"'), JSONExtractString(pair.2), (pair.2) = 'null', '', pair.2)), arrayFilter(pair -> ((pair.1) NOT IN ('_user', '_organisation', '_prompt', '_environment')), JSONExtractKeysAndValuesRaw(metadata))), 'Map(LowCardinality(String), String)') CODEC(ZSTD(1)),
    `request_headers` String CODEC(ZSTD(1)),
    `request_body` String CODEC(ZSTD(3)),
    `response_headers` String CODEC(ZSTD(1)),
    `response_body` String CODEC(ZSTD(3)),
    `sequence` UInt64,
    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_id request_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_user _user TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_organisation _organisation TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_prompt _prompt TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_environment _environment TYPE set(16) GRANULARITY 1,
    INDEX by_model model TYPE set(100) GRANULARITY 1,
    INDEX by_metadata_text arrayMap((key, text) -> concat(key, '\x1F', text), mapKeys(metadata_texts), mapValues(metadata_texts)) TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(sequence)
PARTITION BY toYYYYMM(started_at)
ORDER BY (workspace, started_at, request_id)
SETTINGS index_granularity = 8192, min_bytes_for_full_part_storage = 10485760
COMMENT 'Stored request logs; read the view request_logs';

CREATE VIEW feedback.request_logs
(
    `workspace` LowCardinality(String) COMMENT 'Whose request this was',
    `request_id` UUID COMMENT 'The id that POST /v1/logs answered with',
    `trace_id` String COMMENT 'The trace that feedback refers to',
    `span_id` String COMMENT 'Span within the trace; empty if none',
    `parent_span_id` String COMMENT 'Span that caused this one; empty if none',
    `span_name` String COMMENT 'What the span does; empty if none',
    `started_at` DateTime64(3, 'UTC') COMMENT 'When the request began, by the clock of the app',
    `received_at` DateTime64(3, 'UTC') COMMENT 'When its log was accepted',
    `provider` LowCardinality(String) COMMENT 'Who served the model, such as openai',
    `model` LowCardinality(String) COMMENT 'Model asked for, else the one that answered',
    `method` LowCardinality(String) COMMENT 'HTTP method',
    `url` String COMMENT 'Where the request went',
    `status` UInt16 COMMENT 'HTTP status of the answer',
    `response_time_ms` Nullable(Float64) COMMENT 'Milliseconds until the answer was complete',
    `prompt_tokens` Nullable(UInt64) COMMENT 'Tokens in',
    `completion_tokens` Nullable(UInt64) COMMENT 'Tokens out',
    `total_tokens` Nullable(UInt64) COMMENT 'Tokens in and out',
    `cost` Nullable(Float64) COMMENT 'US cents',
    `_user` String COMMENT 'Special metadata field; empty if none',
    `_organisation` String COMMENT 'Special metadata field; empty if none',
    `_prompt` String COMMENT 'Special metadata field; empty if none',
    `_environment` LowCardinality(String) COMMENT 'Special metadata field; empty if none',
    `metadata` String COMMENT 'All metadata of the request, as JSON text',
    `metadata_texts` Map(LowCardinality(String), String) COMMENT 'The same by key, without the special fields: text as it is, other values as JSON',
    `request_headers` String COMMENT 'JSON text, secrets redacted',
    `request_body` String COMMENT 'JSON text',
    `response_headers` String COMMENT 'JSON text, secrets redacted',
    `response_body` String COMMENT 'JSON text'
)
COMMENT 'Every request log, one row per request'
AS SELECT
    workspace,
    request_id,
    trace_id,
    span_id,
    parent_span_id,
    span_name,
    started_at,
    received_at,
    provider,
    model,
    method,
    url,
    status,
    response_time_ms,
    prompt_tokens,
    completion_tokens,
    total_tokens,
    cost,
    _user,
    _organisation,
    _prompt,
    _environment,
    metadata,
    metadata_texts,
    request_headers,
    request_body,
    response_headers,
    response_body
FROM feedback.request_log_rows
FINAL;

CREATE TABLE feedback.trace_aggregate_rows
(
    `workspace` LowCardinality(String),
    `trace_id` String,
    `feedback_count` UInt32,
    `weight_sum` Decimal(38, 9),
    `value_weight_sum` Decimal(38, 9),
    `weight_value_squared_sum` Decimal(38, 9),
    `value_min` Nullable(Int8),
    `value_max` Nullable(Int8),
    `value_last` Nullable(Int8),
    `requests` UInt32,
    `updated_at` DateTime64(3, 'UTC') DEFAULT toDateTime64(0, 3, 'UTC'),
    `is_expired` UInt8 DEFAULT 0,
    `version` UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, trace_id)
SETTINGS index_granularity = 128, min_compress_block_size = 4096, merge_selector_base = 12, min_bytes_for_full_part_storage = 10485760
COMMENT 'All versions of all trace aggregates; read the view trace_aggregates for the current ones';

CREATE VIEW feedback.trace_aggregates
(
    `workspace` LowCardinality(String) COMMENT 'Whose trace this is',
    `trace_id` String COMMENT 'The trace',
    `feedback_count` UInt32 COMMENT 'Feedback that stands on the trace',
    `weight_sum` Decimal(38, 9) COMMENT 'Sum of weight',
    `value_weight_sum` Decimal(38, 9) COMMENT 'Sum of value × weight',
    `weight_value_squared_sum` Decimal(38, 9) COMMENT 'Sum of weight × value²',
    `value_min` Nullable(Int8) COMMENT 'Lowest value; null without feedback',
    `value_max` Nullable(Int8) COMMENT 'Highest value; null without feedback',
    `value_last` Nullable(Int8) COMMENT 'Value of the feedback created or edited last; null without feedback',
    `mean_value_weight` Nullable(Float64) COMMENT 'Sum of value × weight ÷ count: Portkey\'s weighted average',
    `weighted_mean` Nullable(Float64) COMMENT 'Sum of value × weight ÷ sum of weight: the textbook weighted mean',
    `requests` UInt32 COMMENT 'Requests known on the trace',
    `updated_at` DateTime64(3, 'UTC') COMMENT 'When the latest feedback event on the trace was accepted',
    `version` UInt64 COMMENT 'Higher is newer; the same number the Kafka message carries'
)
COMMENT 'The numbers of each trace that has or had feedback, one row per trace'
AS SELECT
    workspace,
    trace_id,
    feedback_count,
    weight_sum,
    value_weight_sum,
    weight_value_squared_sum,
    value_min,
    value_max,
    value_last,
    if(feedback_count = 0, NULL, toFloat64(value_weight_sum) / feedback_count) AS mean_value_weight,
    if(weight_sum = 0, NULL, toFloat64(value_weight_sum) / toFloat64(weight_sum)) AS weighted_mean,
    requests,
    updated_at,
    version
FROM feedback.trace_aggregate_rows
FINAL
WHERE NOT is_expired;

CREATE TABLE feedback.dead_letters
(
    `topic` LowCardinality(String) COMMENT 'Topic the record came by',
    `kafka_partition` UInt16 COMMENT 'Partition of the topic',
    `sequence` UInt64 COMMENT 'Offset in its partition, plus the offset base of its log',
    `kafka_offset` UInt64 COMMENT 'Offset in its partition',
    `recorded_at` DateTime64(3, 'UTC') COMMENT 'Time of the record',
    `reason` LowCardinality(String) COMMENT 'Kind of fault, such as not_json or unknown_feedback',
    `detail` String COMMENT 'One sentence that names the field',
    `key` String COMMENT 'Key of the record, its bytes' CODEC(ZSTD(1)),
    `value` String COMMENT 'The record, its bytes' CODEC(ZSTD(1)),
    `feedback_id` String DEFAULT JSONExtractString(value, 'feedback_id') COMMENT 'The feedback it was about; empty where its bytes name none',
    INDEX by_feedback feedback_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, kafka_partition, sequence)
SETTINGS index_granularity = 8192, min_bytes_for_full_part_storage = 10485760
COMMENT 'Records that could not become rows, with the reason';

CREATE TABLE feedback.redrives
(
    `topic` LowCardinality(String) COMMENT 'Topic of the letter, and of the record it was sent as',
    `kafka_partition` UInt16 COMMENT 'Partition of both',
    `sequence` UInt64 COMMENT 'The letter',
    `new_offset` UInt64 COMMENT 'Offset of the record it was sent as',
    `redriven_at` DateTime64(3, 'UTC') COMMENT 'When it was sent'
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, kafka_partition, sequence, new_offset)
SETTINGS index_granularity = 8192
COMMENT 'Dead letters that were sent through again';

CREATE TABLE feedback.idempotency_keys
(
    `workspace` LowCardinality(String) COMMENT 'Whose key this is',
    `idempotency_key` String COMMENT 'The key as the caller sent it',
    `digest` String COMMENT 'Of all that was sent in the call that claims it',
    `claimed_at` DateTime64(3, 'UTC') COMMENT 'When the edge accepted that call'
)
ENGINE = MergeTree
ORDER BY (workspace, idempotency_key)
SETTINGS enable_block_number_column = 1, min_bytes_for_full_part_storage = 10485760, index_granularity = 8192
COMMENT 'Idempotency keys in use, and the calls that claim them: a key is that of the lowest _block_number';

CREATE TABLE feedback.feedback_hour_rows
(
    `workspace` LowCardinality(String),
    `hour` DateTime('UTC'),
    `feedback_id` UUID,
    `created_at` DateTime64(3, 'UTC') DEFAULT toDateTime64(hour, 3, 'UTC'),
    `value` Int8,
    `weight` Decimal(18, 9),
    `join_state` LowCardinality(String),
    `model` LowCardinality(String),
    `model_number` UInt32,
    `model_count` UInt32,
    `_user` String,
    `_organisation` String,
    `_prompt` String,
    `_environment` LowCardinality(String),
    `version` UInt64,
    `is_deleted` UInt8
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(hour)
PRIMARY KEY (workspace, hour, feedback_id)
ORDER BY (workspace, hour, feedback_id, _environment, _organisation, _prompt, _user, model)
SETTINGS index_granularity = 1024, merge_selector_base = 12, min_bytes_for_full_part_storage = 10485760
COMMENT 'Feedback by the hour of its creation and the groups it has ever been in, as rollups need it';

CREATE MATERIALIZED VIEW feedback.feedback_into_hours TO feedback.feedback_hour_rows
(
    `workspace` LowCardinality(String),
    `hour` DateTime('UTC'),
    `feedback_id` UUID,
    `created_at` DateTime64(3, 'UTC'),
    `value` Int8,
    `weight` Decimal(18, 9),
    `join_state` LowCardinality(String),
    `model` String,
    `model_number` UInt32,
    `model_count` UInt32,
    `_user` String,
    `_organisation` String,
    `_prompt` String,
    `_environment` LowCardinality(String),
    `version` UInt64,
    `is_deleted` UInt8
)
AS SELECT
    workspace,
    toDateTime(toStartOfHour(created_at), 'UTC') AS hour,
    feedback_id,
    created_at,
    value,
    weight,
    join_state,
    model,
    model_number,
    toUInt32(length(models)) AS model_count,
    _user,
    _organisation,
    _prompt,
    _environment,
    version,
    is_deleted
FROM feedback.feedback_rows
ARRAY JOIN
    if(empty(models), [''], models) AS model,
    arrayEnumerate(if(empty(models), [''], models)) AS model_number
WHERE join_state != 'expired';

CREATE TABLE feedback.rollup_removals
(
    `workspace` LowCardinality(String) COMMENT 'Whose feedback was removed',
    `hour` DateTime('UTC') COMMENT 'Start of the hour in which it was created',
    `removal` UUID COMMENT 'Which removal this was'
)
ENGINE = ReplacingMergeTree
ORDER BY (workspace, hour, removal)
SETTINGS index_granularity = 8192
COMMENT 'Hours of which feedback has been physically removed, once for each time';

CREATE VIEW feedback.rollup_void_epochs
(
    `workspace` LowCardinality(String),
    `period` Enum8('hour' = 1, 'day' = 2),
    `start` DateTime('UTC'),
    `epoch` UInt32
)
COMMENT 'Epochs of a bucket whose rollup rows count no more; how many there are is the epoch that does'
AS SELECT
    workspace,
    period,
    start,
    arrayJoin(range(toUInt32(count()))) AS epoch
FROM
(
    SELECT
        workspace,
        hour,
        toDateTime(toStartOfDay(hour), 'UTC') AS day
    FROM feedback.rollup_removals
    FINAL
)
ARRAY JOIN
    CAST(['hour', 'day'], 'Array(Enum8(\'hour\' = 1, \'day\' = 2))') AS period,
    [hour, day] AS start
GROUP BY
    workspace,
    period,
    start;

CREATE TABLE feedback.rollup_rows
(
    `workspace` LowCardinality(String),
    `period` Enum8('hour' = 1, 'day' = 2),
    `dimension` Enum8('all' = 1, 'organisation' = 2, 'prompt' = 3, 'user' = 4, 'model' = 5),
    `start` DateTime('UTC'),
    `environment` LowCardinality(String),
    `key` String,
    `feedback_count` UInt64,
    `joined_count` UInt64,
    `weighted_count` UInt64,
    `weight_sum` Decimal(38, 9),
    `value_weight_sum` Decimal(38, 9),
    `weight_value_squared_sum` Decimal(38, 9),
    `squared_weight_sum` Decimal(38, 18),
    `value_squared_weight_sum` Decimal(38, 18),
    `squared_value_weight_sum` Decimal(38, 18),
    `value_counts` Array(UInt64),
    `last_seen` DateTime64(3, 'UTC'),
    `version` UInt128,
    INDEX by_key key TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY (toYYYYMM(start), sipHash64(environment) % 4, sipHash64(key) % 4)
ORDER BY (workspace, period, dimension, start, environment, key)
SETTINGS index_granularity = 1024, min_bytes_for_full_part_storage = 10485760
COMMENT 'All versions of all rollups; read the view rollups for the current ones';

CREATE VIEW feedback.rollups
(
    `workspace` LowCardinality(String) COMMENT 'Whose feedback this is',
    `period` Enum8('hour' = 1, 'day' = 2) COMMENT 'Length of the bucket, UTC',
    `dimension` Enum8('all' = 1, 'organisation' = 2, 'prompt' = 3, 'user' = 4, 'model' = 5) COMMENT 'What key is; with all it is empty. Add up rows of one dimension only',
    `start` DateTime('UTC') COMMENT 'Start of the hour or day in which the feedback was created',
    `environment` LowCardinality(String) COMMENT 'Environment in force; empty if none',
    `key` String COMMENT 'Organisation, prompt or user in force, or a model of the trace; empty if none',
    `feedback_count` UInt64 COMMENT 'Feedback that stands or went with its trace; with model, once under each model of its trace',
    `joined_count` UInt64 COMMENT 'Of these, how many have been joined to a request',
    `weighted_count` UInt64 COMMENT 'Of these, how many have a weight above 0',
    `weight_sum` Decimal(38, 9) COMMENT 'Sum of weight',
    `value_weight_sum` Decimal(38, 9) COMMENT 'Sum of value × weight',
    `weight_value_squared_sum` Decimal(38, 9) COMMENT 'Sum of weight × value²',
    `squared_weight_sum` Decimal(38, 18) COMMENT 'Sum of weight²',
    `value_squared_weight_sum` Decimal(38, 18) COMMENT 'Sum of value × weight²',
    `squared_value_weight_sum` Decimal(38, 18) COMMENT 'Sum of (value × weight)²',
    `value_counts` Array(UInt64) COMMENT 'How many feedbacks have the value -10, -9 … 10: 21 numbers, to be added by sumForEach',
    `last_seen` DateTime64(3, 'UTC') COMMENT 'When the newest was created; 1970 where this and the squares are not computed yet'
)
COMMENT 'Exact numbers per hour and day, by environment and one more dimension'
AS SELECT
    workspace,
    period,
    dimension,
    start,
    environment,
    key,
    feedback_count,
    joined_count,
    weighted_count,
    weight_sum,
    value_weight_sum,
    weight_value_squared_sum,
    squared_weight_sum,
    value_squared_weight_sum,
    squared_value_weight_sum,
    value_counts,
    last_seen
FROM feedback.rollup_rows
FINAL
WHERE (feedback_count > 0) AND (start >= (
    SELECT rollups_since
    FROM feedback.policy
)) AND ((workspace, period, start, toUInt32(bitShiftRight(version, 104))) NOT IN (
    SELECT
        workspace,
        period,
        start,
        epoch
    FROM feedback.rollup_void_epochs
));

CREATE TABLE feedback.exports
(
    `workspace` LowCardinality(String) COMMENT 'Whose export this is',
    `export_id` UUID COMMENT 'The id that POST /v1/logs/exports answered with',
    `fact` LowCardinality(String) COMMENT 'order, claim, run, cancel or delete',
    `attempt` UInt32 COMMENT 'Which start this is about, from 1; 0 for the order',
    `runner` String COMMENT 'Who runs this attempt; empty for order and cancel',
    `content` String COMMENT 'JSON of what the fact says',
    `noted_at` DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was written, by the clock of ClickHouse'
)
ENGINE = ReplacingMergeTree(noted_at)
ORDER BY (workspace, export_id, fact, attempt, runner)
TTL toDateTime(noted_at) + toIntervalDay(400)
SETTINGS index_granularity = 8192
COMMENT 'Facts about exports; read it with FINAL';

CREATE TABLE feedback.secrets
(
    `name` LowCardinality(String) COMMENT 'What it is for',
    `secret` String COMMENT 'Hexadecimal digits from a random source of the operating system',
    `made_at` DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was made'
)
ENGINE = MergeTree
ORDER BY (name, made_at, secret)
SETTINGS index_granularity = 8192
COMMENT 'Secrets of the API, readable for whoever may read this database';

CREATE TABLE feedback.api_keys
(
    `key_id` String COMMENT 'The part of the key that names it',
    `hash` String COMMENT 'SHA-256 of the whole key, hex; the key itself is kept nowhere',
    `workspace` LowCardinality(String) COMMENT 'Whose data it opens',
    `scopes` Array(LowCardinality(String)) COMMENT 'What it allows; admin allows everything',
    `name` String COMMENT 'For whom or what it was made',
    `rate_limit_per_s` UInt32 COMMENT 'Events a second; 0: as the setting of the edge says',
    `read_rate_limit_per_s` UInt32 COMMENT 'Questions a second; 0: as the setting of the API says',
    `created_at` DateTime64(3, 'UTC') COMMENT 'When it was made',
    `expires_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'From when it is refused; null: never',
    `revoked_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'Since when it is refused; null: it is not',
    `reopened_at` Nullable(DateTime64(3, 'UTC')) COMMENT 'When an operator opened the server and left this key behind; null: the key keeps it closed',
    `is_revoked` UInt8 COMMENT '0: made, 1: revoked, 2: left behind; a row with a higher number replaces the others'
)
ENGINE = ReplacingMergeTree(is_revoked)
ORDER BY key_id
SETTINGS index_granularity = 8192
COMMENT 'API keys; read it with FINAL';

CREATE TABLE feedback.erasures_under_way
(
    `workspace` LowCardinality(String) COMMENT 'Whose data',
    `user` String COMMENT 'The person, as _user names them',
    `kind` Enum8('feedback' = 1, 'request' = 2, 'trace' = 3, 'hour' = 4) COMMENT 'What id is',
    `id` String COMMENT 'feedback_id, request_id, trace_id, or the start of an hour in Unix seconds'
)
ENGINE = ReplacingMergeTree
ORDER BY (workspace, user, kind, id)
SETTINGS index_granularity = 8192
COMMENT 'What erasures have found and not yet removed everywhere; empty where none was cut off';

CREATE TABLE feedback.erased_records
(
    `topic` LowCardinality(String) COMMENT 'Topic the record came by',
    `kafka_partition` UInt16 COMMENT 'Partition of the topic',
    `sequence` UInt64 COMMENT 'Offset in its partition, plus the offset base of its log',
    `erased_at` DateTime64(3, 'UTC') COMMENT 'When it was removed'
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, kafka_partition, sequence)
SETTINGS index_granularity = 8192
COMMENT 'Places in the log whose events have been erased';

CREATE TABLE feedback.expiring
(
    `trace_hash` UInt32 COMMENT 'Whose traces are removed',
    `kafka_partition` UInt16 COMMENT 'Partition of the notice and of all that it removes',
    `sequence` UInt64 COMMENT 'The notice: feedback events before it go',
    `requests_before` UInt64 COMMENT 'Requests before this go'
)
ENGINE = MergeTree
ORDER BY trace_hash
SETTINGS index_granularity = 8192
COMMENT 'Traces whose removal was decided; empty where no removal is under way';

CREATE TABLE feedback.expired_records
(
    `topic` LowCardinality(String) COMMENT 'Topic the record came by',
    `kafka_partition` UInt16 COMMENT 'Partition of the topic',
    `sequence` UInt64 COMMENT 'Offset in its partition, plus the offset base of its log' CODEC(Delta(8), ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, kafka_partition, sequence)
SETTINGS index_granularity = 8192
COMMENT 'Places in the log whose events went with their traces';

CREATE TABLE feedback.lost_records
(
    `topic` LowCardinality(String) COMMENT 'Topic of the records',
    `kafka_partition` UInt16 COMMENT 'Partition of the topic',
    `first_sequence` UInt64 COMMENT 'The first of them: its offset, plus the offset base of its log',
    `end_sequence` UInt64 COMMENT 'The one after the last',
    `is_acknowledged` UInt8 DEFAULT 0 COMMENT '0: a worker has found them gone; 1: an operator knows of it',
    `noted_at` DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When this was noted',
    `note` String COMMENT 'What the operator has said of it'
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, kafka_partition, is_acknowledged, first_sequence, end_sequence)
SETTINGS index_granularity = 8192
COMMENT 'Records that were gone from Kafka before a worker read them';

INSERT INTO feedback.schema_migrations (version, name) VALUES
    (1, 'trace_journal'),
    (2, 'feedback'),
    (3, 'request_logs'),
    (4, 'trace_aggregates'),
    (5, 'dead_letters'),
    (6, 'idempotency'),
    (7, 'receipts'),
    (8, 'operations'),
    (9, 'rollups'),
    (10, 'lighter_journal'),
    (11, 'api_keys'),
    (12, 'reading'),
    (13, 'exports'),
    (14, 'erasures_under_way'),
    (15, 'fewer_merges'),
    (16, 'one_file_a_part'),
    (17, 'journal_in_small_blocks'),
    (18, 'journal_of_lines'),
    (19, 'first_claims'),
    (20, 'whole_traces'),
    (21, 'lost_records'),
    (22, 'keys_left_behind'),
    (23, 'exports_end'),
    (24, 'feedback_by_time'),
    (25, 'traces_in_small_blocks'),
    (26, 'metadata_index'),
    (27, 'rollups_of_all_numbers'),
    (28, 'metadata_by_key');
