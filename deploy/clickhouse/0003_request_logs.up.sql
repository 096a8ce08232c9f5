-- Requests that apps have served. A request never changes, so a replayed row replaces itself with itself.
CREATE TABLE IF NOT EXISTS feedback.request_log_rows
(
    workspace         LowCardinality(String),
    request_id        UUID,
    trace_id          String,
    span_id           String,
    parent_span_id    String,
    span_name         String,
    started_at        DateTime64(3, 'UTC'),
    received_at       DateTime64(3, 'UTC'),
    provider          LowCardinality(String),
    model             LowCardinality(String),
    method            LowCardinality(String),
    url               String,
    status            UInt16,
    response_time_ms  Nullable(Float64),
    prompt_tokens     Nullable(UInt64),
    completion_tokens Nullable(UInt64),
    total_tokens      Nullable(UInt64),
    cost              Nullable(Float64),
    _user             String,
    _organisation     String,
    _prompt           String,
    _environment      LowCardinality(String),
    metadata          String CODEC(ZSTD(1)),
    request_headers   String CODEC(ZSTD(1)),
    request_body      String CODEC(ZSTD(3)),
    response_headers  String CODEC(ZSTD(1)),
    response_body     String CODEC(ZSTD(3)),
    sequence          UInt64,
    INDEX by_trace        trace_id      TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_id           request_id    TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_user         _user         TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_organisation _organisation TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_prompt       _prompt       TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_environment  _environment  TYPE set(16) GRANULARITY 1,
    INDEX by_model        model         TYPE set(100) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(sequence)
PARTITION BY toYYYYMM(started_at)
ORDER BY (workspace, started_at, request_id)
COMMENT 'Stored request logs; read the view request_logs';

CREATE VIEW IF NOT EXISTS feedback.request_logs
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
