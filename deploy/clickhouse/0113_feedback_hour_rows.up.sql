-- Feedback by the hour in which it was created: what the rollups of an hour are computed from.
--
-- A row is:    one version of one feedback under one model of its trace (the empty string where no model is known)
--              and under the special fields in force.
-- Written by:  the materialized view feedback_into_hours, with every insert into feedback_rows; `feedback reconcile
--              --repair`.
-- Removed by:  `feedback erase`; ClickHouse itself two days after FEEDBACK_KEEP_ROLLUPS_DAYS, which `feedback
--              migrate` sets.
-- Read by:     the rollup program, `feedback reconcile`.
-- Key:         workspace, hour and feedback, then the groups it is in. What moves to another group leaves its former
--              rows, and deleted feedback stays too. So an hour knows every group that can ever have been written for
--              it, and zeros are written where nothing is left.
-- Partitions:  month of the hour.
CREATE TABLE IF NOT EXISTS feedback.feedback_hour_rows
(
    workspace     LowCardinality(String) COMMENT 'Whose feedback this is',
    hour          DateTime('UTC') COMMENT 'Start of the hour in which it was created',
    feedback_id   UUID COMMENT 'The feedback',
    created_at    DateTime64(3, 'UTC') DEFAULT toDateTime64(hour, 3, 'UTC') COMMENT 'When the edge accepted it',
    value         Int8 COMMENT 'How good the answer was, -10 to 10',
    weight        Decimal(18, 9) COMMENT 'How much it counts, 0 to 1',
    join_state    LowCardinality(String) COMMENT 'pending or joined',
    model         LowCardinality(String) COMMENT 'One model of its trace; empty if none is known',
    model_number  UInt32 COMMENT 'Which of its models this is, from 1',
    model_count   UInt32 COMMENT 'How many models its trace has; 0 if none is known',
    _user         String COMMENT 'Special field in force; empty if none',
    _organisation String COMMENT 'Special field in force; empty if none',
    _prompt       String COMMENT 'Special field in force; empty if none',
    _environment  LowCardinality(String) COMMENT 'Special field in force; empty if none',
    version       UInt64 COMMENT 'As in feedback_rows',
    is_deleted    UInt8 COMMENT '1: it was deleted'
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(hour)
PRIMARY KEY (workspace, hour, feedback_id)
ORDER BY (workspace, hour, feedback_id, _environment, _organisation, _prompt, _user, model)
SETTINGS index_granularity = 1024, merge_selector_base = 12, min_bytes_for_full_part_storage = 10485760
COMMENT 'Feedback by the hour of its creation and the groups it has ever been in, as rollups need it';
