-- The durable truth about API keys; Kafka's topic api.keys.v1 is its copy for the edges. A key has one row when it is made
-- and one more when it is revoked, which outlasts the other in whatever order they were written.
CREATE TABLE IF NOT EXISTS feedback.api_keys
(
    key_id           String COMMENT 'The part of the key that names it',
    hash             String COMMENT 'SHA-256 of the whole key, hex; the key itself is kept nowhere',
    workspace        LowCardinality(String) COMMENT 'Whose data it opens',
    scopes           Array(LowCardinality(String)) COMMENT 'What it allows; admin allows everything',
    name             String COMMENT 'For whom or what it was made',
    rate_limit_per_s UInt32 COMMENT 'Events a second; 0: as the setting of the edge says',
    created_at       DateTime64(3, 'UTC') COMMENT 'When it was made',
    expires_at       Nullable(DateTime64(3, 'UTC')) COMMENT 'From when it is refused; null: never',
    revoked_at       Nullable(DateTime64(3, 'UTC')) COMMENT 'Since when it is refused; null: it is not',
    is_revoked       UInt8 COMMENT 'Whether revoked_at is set; the row with 1 replaces the row with 0'
)
ENGINE = ReplacingMergeTree(is_revoked)
ORDER BY key_id
COMMENT 'API keys; read it with FINAL';
