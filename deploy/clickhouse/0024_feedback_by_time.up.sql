-- Within a partition feedback is kept in the order of time, and no longer by organisation, prompt and user: what is asked
-- for most is what came last, which then lies together (docs/design.md has the figures). A key cannot be changed, so all
-- rows are written into a table of its own, those of one place in the order in which they were stored. Workers do not run
-- meanwhile. Wherever this was cut off it may begin again: at any moment the table of this name holds everything.
DROP VIEW IF EXISTS feedback.feedback_into_hours SYNC;

DROP TABLE IF EXISTS feedback.feedback_rows_by_time SYNC SETTINGS max_table_size_to_drop = 0;

CREATE TABLE feedback.feedback_rows_by_time
(
    workspace         LowCardinality(String),
    feedback_id       UUID,
    trace_id          String,
    value             Int8,
    weight            Decimal(18, 9),
    created_at        DateTime64(3, 'UTC'),
    updated_at        DateTime64(3, 'UTC'),
    join_state        LowCardinality(String),
    models            Array(LowCardinality(String)),
    providers         Array(LowCardinality(String)),
    _user             String,
    _organisation     String,
    _prompt           String,
    _environment      LowCardinality(String),
    metadata          String CODEC(ZSTD(1)),
    home_user         String,
    home_organisation String,
    home_prompt       String,
    home_environment  LowCardinality(String),
    version           UInt64,
    is_deleted        UInt8,
    INDEX by_trace        trace_id      TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_user         _user         TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_organisation _organisation TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_prompt       _prompt       TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_environment  _environment  TYPE set(16) GRANULARITY 1,
    INDEX by_model        models        TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_join_state   join_state    TYPE set(4) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY (toYYYYMM(created_at), home_environment, sipHash64(home_organisation) % 4)
PRIMARY KEY (toYYYYMM(created_at), home_environment, sipHash64(home_organisation) % 4, workspace, created_at)
ORDER BY (
    toYYYYMM(created_at), home_environment, sipHash64(home_organisation) % 4,
    workspace, created_at, feedback_id, home_organisation, home_prompt, home_user
)
SETTINGS index_granularity = 1024, merge_selector_base = 12, min_bytes_for_full_part_storage = 10485760
COMMENT 'All versions of all feedback; read the view feedback for the current ones';

INSERT INTO feedback.feedback_rows_by_time (
    workspace, feedback_id, trace_id, value, weight, created_at, updated_at, join_state, models, providers,
    _user, _organisation, _prompt, _environment, metadata,
    home_user, home_organisation, home_prompt, home_environment, version, is_deleted
)
SELECT
    workspace, feedback_id, trace_id, value, weight, created_at, updated_at, join_state, models, providers,
    _user, _organisation, _prompt, _environment, metadata,
    home_user, home_organisation, home_prompt, home_environment, version, is_deleted
FROM feedback.feedback_rows
ORDER BY
    toYYYYMM(created_at), home_environment, sipHash64(home_organisation) % 4,
    workspace, home_organisation, home_prompt, home_user, created_at, feedback_id, version, _block_number
SETTINGS max_partitions_per_insert_block = 0, max_insert_threads = 1;

EXCHANGE TABLES feedback.feedback_rows AND feedback.feedback_rows_by_time;

DROP TABLE feedback.feedback_rows_by_time SYNC SETTINGS max_table_size_to_drop = 0;

CREATE MATERIALIZED VIEW IF NOT EXISTS feedback.feedback_into_hours TO feedback.feedback_hour_rows
AS SELECT
    workspace, toDateTime(toStartOfHour(created_at), 'UTC') AS hour, feedback_id, value, weight, join_state,
    model, model_number, toUInt32(length(models)) AS model_count,
    _user, _organisation, _prompt, _environment, version, is_deleted
FROM feedback.feedback_rows
ARRAY JOIN if(empty(models), [''], models) AS model, arrayEnumerate(if(empty(models), [''], models)) AS model_number
WHERE join_state != 'expired';
