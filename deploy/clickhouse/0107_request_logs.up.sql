-- Requests for readers.
--
-- A row is:    one request that an app has served.
-- Made from:   request_log_rows, by FINAL, which leaves out what a worker wrote twice.
-- Read by:     people (docs/sql.md), the API (analytics, exports, values of fields).
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
    metadata_texts    Map(LowCardinality(String), String) COMMENT 'The same by key, without the special fields: text as it is, other values as JSON',
    request_headers   String COMMENT 'JSON text, secrets redacted',
    request_body      String COMMENT 'JSON text',
    response_headers  String COMMENT 'JSON text, secrets redacted',
    response_body     String COMMENT 'JSON text'
)
AS SELECT
    workspace, request_id, trace_id, span_id, parent_span_id, span_name, started_at, received_at, provider, model,
    method, url, status, response_time_ms, prompt_tokens, completion_tokens, total_tokens, cost,
    _user, _organisation, _prompt, _environment, metadata, metadata_texts,
    request_headers, request_body, response_headers, response_body
FROM feedback.request_log_rows FINAL
COMMENT 'Every request log, one row per request';
