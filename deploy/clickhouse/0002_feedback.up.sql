-- Every version of every feedback. Partition and sort columns come from the create event alone and never change,
-- so any later version, from whichever worker, replaces the earlier one; edits and late requests change the rest.
-- The key starts with the partition's own columns: FINAL must read every key range that overlaps those an index
-- chose, and so it never has to look into other partitions (docs/design.md has the figures).
CREATE TABLE IF NOT EXISTS feedback.feedback_rows
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
    INDEX by_model        models        TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY (toYYYYMM(created_at), home_environment, sipHash64(home_organisation) % 4)
ORDER BY (
    toYYYYMM(created_at), home_environment, sipHash64(home_organisation) % 4,
    workspace, home_organisation, home_prompt, home_user, created_at, feedback_id
)
SETTINGS index_granularity = 1024
COMMENT 'All versions of all feedback; read the view feedback for the current ones';

CREATE VIEW IF NOT EXISTS feedback.feedback
(
    workspace     LowCardinality(String) COMMENT 'Whose feedback this is',
    feedback_id   UUID COMMENT 'The one id of this feedback for ever',
    trace_id      String COMMENT 'The trace it is about',
    value         Int8 COMMENT 'How good the answer was, -10 to 10',
    weight        Decimal(18, 9) COMMENT 'How much it counts, 0 to 1',
    created_at    DateTime64(3, 'UTC') COMMENT 'When it was accepted',
    updated_at    DateTime64(3, 'UTC') COMMENT 'When its last event was accepted',
    join_state    LowCardinality(String) COMMENT 'pending: no request with this trace id yet; joined: there is one',
    models        Array(LowCardinality(String)) COMMENT 'Models of all requests on the trace, sorted; empty if none is known',
    providers     Array(LowCardinality(String)) COMMENT 'Providers of all requests on the trace, sorted; empty if none is known',
    _user         String COMMENT 'Special field in force: its own, else that of the earliest request; empty if none',
    _organisation String COMMENT 'Special field in force: its own, else that of the earliest request; empty if none',
    _prompt       String COMMENT 'Special field in force: its own, else that of the earliest request; empty if none',
    _environment  LowCardinality(String) COMMENT 'Special field in force: its own, else that of the earliest request; empty if none',
    metadata      String COMMENT 'All metadata of the feedback, as JSON text',
    version       UInt64 COMMENT 'Higher is newer; the same number the Kafka message carries'
)
AS SELECT
    workspace, feedback_id, trace_id, value, weight, created_at, updated_at, join_state, models, providers,
    _user, _organisation, _prompt, _environment, metadata, version
FROM feedback.feedback_rows FINAL
COMMENT 'Every feedback that stands, one current row per id';
