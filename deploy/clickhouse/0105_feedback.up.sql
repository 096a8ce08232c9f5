-- Feedback for readers: what stands, as it is now.
--
-- A row is:    one feedback that stands. An edit shows in place of what it edits; what was deleted is gone.
-- Made from:   feedback_rows, by FINAL; and policy, which says when pending feedback counts as orphaned.
-- Read by:     people (docs/sql.md), the API (analytics, exports, values of fields), `feedback orphans`.
CREATE VIEW IF NOT EXISTS feedback.feedback
(
    workspace      LowCardinality(String) COMMENT 'Whose feedback this is',
    feedback_id    UUID COMMENT 'The one id of this feedback for ever',
    trace_id       String COMMENT 'The trace it is about',
    value          Int8 COMMENT 'How good the answer was, -10 to 10',
    weight         Decimal(18, 9) COMMENT 'How much it counts, 0 to 1',
    created_at     DateTime64(3, 'UTC') COMMENT 'When it was accepted',
    updated_at     DateTime64(3, 'UTC') COMMENT 'When its last event was accepted',
    join_state     LowCardinality(String) COMMENT 'joined: a request has its trace id; pending: none yet; orphaned: none for long, it still joins',
    models         Array(LowCardinality(String)) COMMENT 'Models of all requests on the trace, sorted; empty if none is known',
    providers      Array(LowCardinality(String)) COMMENT 'Providers of all requests on the trace, sorted; empty if none is known',
    _user          String COMMENT 'Special field in force: its own, else that of the earliest request; empty if none',
    _organisation  String COMMENT 'Special field in force: its own, else that of the earliest request; empty if none',
    _prompt        String COMMENT 'Special field in force: its own, else that of the earliest request; empty if none',
    _environment   LowCardinality(String) COMMENT 'Special field in force: its own, else that of the earliest request; empty if none',
    metadata       String COMMENT 'All metadata of the feedback, as JSON text',
    metadata_texts Map(LowCardinality(String), String) COMMENT 'The same by key, without the special fields: text as it is, other values as JSON',
    version        UInt64 COMMENT 'Higher is newer; the same number the Kafka message carries'
)
AS SELECT
    workspace, feedback_id, trace_id, value, weight, created_at, updated_at,
    if(join_state = 'pending' AND created_at < (SELECT orphaned_before FROM feedback.policy), 'orphaned', join_state)
        AS join_state,
    models, providers, _user, _organisation, _prompt, _environment, metadata, metadata_texts, version
FROM feedback.feedback_rows FINAL
COMMENT 'Every feedback that stands, one current row per id';
