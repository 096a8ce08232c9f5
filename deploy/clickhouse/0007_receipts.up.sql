-- What an operator has decided and queries must know. Written by `feedback migrate`; the latest counts.
CREATE TABLE IF NOT EXISTS feedback.settings
(
    name       String COMMENT 'As the environment variable, without FEEDBACK_, in lower case',
    value      String,
    changed_at DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = ReplacingMergeTree(changed_at)
ORDER BY name
COMMENT 'Settings in force';

CREATE OR REPLACE VIEW feedback.policy
(
    orphaned_before DateTime64(3, 'UTC') COMMENT 'Feedback from before this, still without a request, is orphaned'
)
AS SELECT
    now64(3) - toIntervalHour(toUInt32OrDefault(
        (SELECT anyLast(value) FROM feedback.settings FINAL WHERE name = 'orphan_after_hours'), toUInt32(168)
    )) AS orphaned_before
COMMENT 'Settings in force, as queries use them';

-- Whose letter this is, found in its bytes; empty where they hold no id.
ALTER TABLE feedback.dead_letters
    ADD COLUMN IF NOT EXISTS feedback_id String DEFAULT JSONExtractString(value, 'feedback_id')
    COMMENT 'The feedback it was about; empty where its bytes name none';

ALTER TABLE feedback.dead_letters
    ADD INDEX IF NOT EXISTS by_feedback feedback_id TYPE bloom_filter(0.01) GRANULARITY 1;

ALTER TABLE feedback.dead_letters
    MATERIALIZE COLUMN feedback_id SETTINGS mutations_sync = 2;

ALTER TABLE feedback.dead_letters
    MATERIALIZE INDEX by_feedback SETTINGS mutations_sync = 2;

CREATE OR REPLACE VIEW feedback.feedback
(
    workspace     LowCardinality(String) COMMENT 'Whose feedback this is',
    feedback_id   UUID COMMENT 'The one id of this feedback for ever',
    trace_id      String COMMENT 'The trace it is about',
    value         Int8 COMMENT 'How good the answer was, -10 to 10',
    weight        Decimal(18, 9) COMMENT 'How much it counts, 0 to 1',
    created_at    DateTime64(3, 'UTC') COMMENT 'When it was accepted',
    updated_at    DateTime64(3, 'UTC') COMMENT 'When its last event was accepted',
    join_state    LowCardinality(String) COMMENT 'joined: a request has its trace id; pending: none yet; orphaned: none for long, it still joins',
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
    workspace, feedback_id, trace_id, value, weight, created_at, updated_at,
    if(join_state = 'pending' AND created_at < (SELECT orphaned_before FROM feedback.policy), 'orphaned', join_state) AS join_state,
    models, providers, _user, _organisation, _prompt, _environment, metadata, version
FROM feedback.feedback_rows FINAL
COMMENT 'Every feedback that stands, one current row per id';
