-- All versions of all feedback. Whoever wants what stands now reads the view feedback.
--
-- A row is:    one feedback as it was after one event: its creation, an edit, its deletion, or a request on its
--              trace.
-- Written by:  workers, and `feedback reconcile --repair` where a row is wrong. The row with the highest version
--              replaces the others of its feedback, whichever worker wrote it and in whatever order; under the same
--              version the row stored last counts.
-- Removed by:  `feedback erase` and `feedback expire`. Feedback that goes with its trace has a last row first,
--              deleted and of the join state expired.
-- Read by:     the view feedback, the API, the materialized view feedback_into_hours, `feedback reconcile`.
-- Key:         within a partition workspace, then time, since the newest feedback is asked for most. The key begins
--              with the partition's own columns: FINAL reads all key ranges that overlap those an index chose, and so
--              it never has to look into other partitions (docs/design.md says why).
-- Partitions:  month of creation, environment, and a quarter of all organisations.
--
-- Key and partition come from the create event alone (created_at and home_…), so they never change, and every later
-- version replaces the earlier ones. Edits and late requests change the other columns.
CREATE TABLE IF NOT EXISTS feedback.feedback_rows
(
    workspace         LowCardinality(String) COMMENT 'Whose feedback this is',
    feedback_id       UUID COMMENT 'The one id of this feedback for ever',
    trace_id          String COMMENT 'The trace it is about',
    value             Int8 COMMENT 'How good the answer was, -10 to 10',
    weight            Decimal(18, 9) COMMENT 'How much it counts, 0 to 1',
    created_at        DateTime64(3, 'UTC') COMMENT 'When the edge accepted it',
    updated_at        DateTime64(3, 'UTC') COMMENT 'When the edge accepted its last event',
    join_state        LowCardinality(String) COMMENT 'pending: no request has its trace id; joined: one has; expired: it went with its trace',
    models            Array(LowCardinality(String)) COMMENT 'Models of all requests on the trace, sorted; empty if none is known',
    providers         Array(LowCardinality(String)) COMMENT 'Providers of all requests on the trace, sorted; empty if none is known',
    _user             String COMMENT 'Special field in force: its own, else that of the earliest request; empty if none',
    _organisation     String COMMENT 'Special field in force: its own, else that of the earliest request; empty if none',
    _prompt           String COMMENT 'Special field in force: its own, else that of the earliest request; empty if none',
    _environment      LowCardinality(String) COMMENT 'Special field in force: its own, else that of the earliest request; empty if none',
    metadata          String COMMENT 'All metadata of the feedback, as JSON text' CODEC(ZSTD(1)),
    metadata_texts    Map(LowCardinality(String), String) MATERIALIZED CAST(arrayMap(
        pair -> (pair.1, multiIf(startsWith(pair.2, '"'), JSONExtractString(pair.2), pair.2 = 'null', '', pair.2)),
        arrayFilter(
            pair -> pair.1 NOT IN ('_user', '_organisation', '_prompt', '_environment'),
            JSONExtractKeysAndValuesRaw(metadata)
        )
    ), 'Map(LowCardinality(String), String)')
        COMMENT 'The same by key, without the special fields, as JSONExtractString reads it' CODEC(ZSTD(1)),
    home_user         String COMMENT '_user of the create event; never changes',
    home_organisation String COMMENT '_organisation of the create event; never changes',
    home_prompt       String COMMENT '_prompt of the create event; never changes',
    home_environment  LowCardinality(String) COMMENT '_environment of the create event; never changes',
    version           UInt64 COMMENT 'sequence of the last event << 16, plus the requests known on the trace, 65,535 at most',
    is_deleted        UInt8 COMMENT '1: it was deleted, and no view shows it',
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
