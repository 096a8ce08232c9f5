ALTER TABLE feedback.feedback_rows RESET SETTING min_compress_block_size;

CREATE OR REPLACE TABLE feedback.request_log_rows
(
    workspace         LowCardinality(String) COMMENT 'Whose request this was',
    request_id        UUID COMMENT 'The id that POST /v1/logs answered with',
    trace_id          String COMMENT 'The trace that feedback refers to',
    span_id           String COMMENT 'Span within the trace; empty if none',
    parent_span_id    String COMMENT 'Span that caused this one; empty if none',
    span_name         String COMMENT 'What the span does; empty if none',
    started_at        DateTime64(3, 'UTC') COMMENT 'When the request began, by the clock of the app',
    received_at       DateTime64(3, 'UTC') COMMENT 'When the edge accepted its log',
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
    metadata          String COMMENT 'All metadata of the request, as JSON text' CODEC(ZSTD(1)),
    metadata_texts    Map(LowCardinality(String), String) MATERIALIZED CAST(arrayMap(
        pair -> (pair.1, multiIf(startsWith(pair.2, '"'), JSONExtractString(pair.2), pair.2 = 'null', '', pair.2)),
        arrayFilter(
            pair -> pair.1 NOT IN ('_user', '_organisation', '_prompt', '_environment'),
            JSONExtractKeysAndValuesRaw(metadata)
        )
    ), 'Map(LowCardinality(String), String)')
        COMMENT 'The same by key, without the special fields, as JSONExtractString reads it' CODEC(LZ4),
    request_headers   String COMMENT 'JSON text, secrets redacted' CODEC(ZSTD(1)),
    request_body      String COMMENT 'JSON text' CODEC(ZSTD(3)),
    response_headers  String COMMENT 'JSON text, secrets redacted' CODEC(ZSTD(1)),
    response_body     String COMMENT 'JSON text' CODEC(ZSTD(3)),
    sequence          UInt64 COMMENT 'Offset in its partition of Kafka, plus the offset base of its log',
    INDEX by_trace        trace_id      TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_id           request_id    TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_user         _user         TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_organisation _organisation TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_prompt       _prompt       TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_environment  _environment  TYPE set(16) GRANULARITY 1,
    INDEX by_model        model         TYPE set(100) GRANULARITY 1,
    -- Which granules may hold a request that says some text under some key. The API's filters ask by the same expression.
    INDEX by_metadata_text arrayMap(
        (key, text) -> concat(key, '\x1F', text), mapKeys(metadata_texts), mapValues(metadata_texts)
    ) TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(sequence)
PARTITION BY toYYYYMM(started_at)
ORDER BY (workspace, started_at, request_id)
SETTINGS index_granularity = 8192, min_bytes_for_full_part_storage = 10485760
COMMENT 'Stored request logs; read the view request_logs'
AS SELECT
    workspace, request_id, trace_id, span_id, parent_span_id, span_name, started_at, received_at, provider, model,
    method, url, status, response_time_ms, prompt_tokens, completion_tokens, total_tokens, cost, _user, _organisation,
    _prompt, _environment, metadata, request_headers, request_body, response_headers, response_body, sequence
FROM feedback.request_log_rows
SETTINGS max_partitions_per_insert_block = 0, max_threads = 1;
