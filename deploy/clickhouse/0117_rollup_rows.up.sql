-- What the feedback of each hour and day adds up to, by group, in all versions. Whoever wants the current numbers
-- reads the view rollups.
--
-- A row is:    the numbers of one group (an environment, and an organisation, prompt, user or model) in one hour or
--              day. They are totals, never changes to be added up.
-- Written by:  the rollup program; `feedback reconcile --repair`. The row with the highest version replaces the
--              others.
-- Removed by:  `feedback erase` and other removals; ClickHouse itself two days after FEEDBACK_KEEP_ROLLUPS_DAYS,
--              which `feedback migrate` sets.
-- Read by:     the view rollups, the rollup program (a day from its hours), `feedback reconcile`.
-- Key:         workspace, period, dimension and time, then the group.
-- Partitions:  month, and a quarter each of environments and keys.
CREATE TABLE IF NOT EXISTS feedback.rollup_rows
(
    workspace                LowCardinality(String) COMMENT 'Whose feedback this is',
    period                   Enum8('hour' = 1, 'day' = 2) COMMENT 'Length of the bucket, UTC',
    dimension                Enum8('all' = 1, 'organisation' = 2, 'prompt' = 3, 'user' = 4, 'model' = 5) COMMENT 'What key is; with all it is empty',
    start                    DateTime('UTC') COMMENT 'Start of the hour or day in which the feedback was created',
    environment              LowCardinality(String) COMMENT 'Environment in force; empty if none',
    key                      String COMMENT 'Organisation, prompt or user in force, or a model of the trace; empty if none',
    feedback_count           UInt64 COMMENT 'Feedback that stands or went with its trace; 0 where the group has become empty',
    joined_count             UInt64 COMMENT 'Of these, how many have been joined to a request',
    weighted_count           UInt64 COMMENT 'Of these, how many have a weight above 0',
    weight_sum               Decimal(38, 9) COMMENT 'Sum of weight',
    value_weight_sum         Decimal(38, 9) COMMENT 'Sum of value × weight',
    weight_value_squared_sum Decimal(38, 9) COMMENT 'Sum of weight × value²',
    squared_weight_sum       Decimal(38, 18) COMMENT 'Sum of weight²',
    value_squared_weight_sum Decimal(38, 18) COMMENT 'Sum of value × weight²',
    squared_value_weight_sum Decimal(38, 18) COMMENT 'Sum of (value × weight)²',
    value_counts             Array(UInt64) COMMENT 'How many feedbacks have the value -10, -9 … 10: 21 numbers',
    last_seen                DateTime64(3, 'UTC') COMMENT 'When the newest was created; 1970 where this and the squares are not computed yet',
    version                  UInt128 COMMENT 'Epoch of the bucket << 104, plus a sum over what was read that grows with every change',
    INDEX by_key key TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY (toYYYYMM(start), sipHash64(environment) % 4, sipHash64(key) % 4)
ORDER BY (workspace, period, dimension, start, environment, key)
SETTINGS index_granularity = 1024, min_bytes_for_full_part_storage = 10485760
COMMENT 'All versions of all rollups; read the view rollups for the current ones';
