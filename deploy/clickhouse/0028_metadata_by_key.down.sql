CREATE OR REPLACE VIEW feedback.request_logs
(
    workspace         LowCardinality(String) COMMENT 'Whose request this was',
    request_id        UUID COMMENT 'The id that POST /v1/logs answered with',
    trace_id          String COMMENT 'The trace that feedback refers to',
    span_id           String COMMENT 'Span within the trace; empty if none',
    parent_span_id    String COMMENT 'Span that caused this one; empty if none',
    span_name         String COMMENT 'What the span does; empty if none',
    started_at        DateTime64(3, 'UTC') COMMENT 'When the request began, by the clock of the app',
    received_at       DateTime64(3, 'UTC') COMMENT 'When its log was accepted',
    provider          LowCardinality(String) COMMENT 'Who served the model, such as openai',
    model             LowCardinality(String) COMMENT 'Model asked for, else the one that answered',
    method            LowCardinality(String) COMMENT 'HTTP method',
    url               String COMMENT 'Where the request went',
    status            UInt16 COMMENT 'HTTP status of the answer',
    response_time_ms  Nullable(Float64) COMMENT 'Milliseconds until the answer was complete',
    prompt_tokens     Nullable(UInt64) COMMENT 'Tokens in',
    completion_tokens Nullable(UInt64) COMMENT 'Tokens out',
    total_tokens      Nullable(UInt64) COMMENT 'Tokens in and out',
    cost              Nullable(Float64) COMMENT 'US cents',
    _user             String COMMENT 'Special metadata field; empty if none',
    _organisation     String COMMENT 'Special metadata field; empty if none',
    _prompt           String COMMENT 'Special metadata field; empty if none',
    _environment      LowCardinality(String) COMMENT 'Special metadata field; empty if none',
    metadata          String COMMENT 'All metadata of the request, as JSON text',
    request_headers   String COMMENT 'JSON text, secrets redacted',
    request_body      String COMMENT 'JSON text',
    response_headers  String COMMENT 'JSON text, secrets redacted',
    response_body     String COMMENT 'JSON text'
)
AS SELECT
    workspace, request_id, trace_id, span_id, parent_span_id, span_name, started_at, received_at, provider, model,
    method, url, status, response_time_ms, prompt_tokens, completion_tokens, total_tokens, cost,
    _user, _organisation, _prompt, _environment, metadata,
    request_headers, request_body, response_headers, response_body
FROM feedback.request_log_rows FINAL
COMMENT 'Every request log, one row per request';

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

ALTER TABLE feedback.request_log_rows DROP INDEX IF EXISTS by_metadata_text;

ALTER TABLE feedback.request_log_rows
    ADD INDEX IF NOT EXISTS by_metadata arrayMap(
        pair -> concat(pair.1, '\x1F', if(startsWith(pair.2, '"'), JSONExtractString(pair.2), pair.2)),
        JSONExtractKeysAndValuesRaw(metadata)
    ) TYPE bloom_filter(0.01) GRANULARITY 1;

ALTER TABLE feedback.request_log_rows
    MATERIALIZE INDEX by_metadata SETTINGS mutations_sync = 2;

ALTER TABLE feedback.request_log_rows DROP COLUMN IF EXISTS metadata_texts SETTINGS mutations_sync = 2;

ALTER TABLE feedback.feedback_rows DROP COLUMN IF EXISTS metadata_texts SETTINGS mutations_sync = 2;
