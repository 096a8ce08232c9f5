-- API keys: the durable truth, of which Kafka's topic api.keys.v1 is a copy for the edges and the API.
--
-- A row is:    one state of one key: made, revoked, or left behind. It holds the hash of the key, never the key.
-- Written by:  `feedback keys` and the admin API.
-- Read by:     the same; `feedback keys sync` and each start of `feedback up` copy it to Kafka.
-- Key:         key_id. The row with the highest is_revoked replaces the others, in whatever order they were written.
-- Partitions:  none; there are few rows.
CREATE TABLE IF NOT EXISTS feedback.api_keys
(
    key_id                String COMMENT 'The part of the key that names it',
    hash                  String COMMENT 'SHA-256 of the whole key, hex; the key itself is kept nowhere',
    workspace             LowCardinality(String) COMMENT 'Whose data it opens',
    scopes                Array(LowCardinality(String)) COMMENT 'What it allows; admin allows everything',
    name                  String COMMENT 'For whom or what it was made',
    rate_limit_per_s      UInt32 COMMENT 'Events a second; 0: as the setting of the edge says',
    read_rate_limit_per_s UInt32 COMMENT 'Questions a second; 0: as the setting of the API says',
    created_at            DateTime64(3, 'UTC') COMMENT 'When it was made',
    expires_at            Nullable(DateTime64(3, 'UTC')) COMMENT 'From when it is refused; null: never',
    revoked_at            Nullable(DateTime64(3, 'UTC')) COMMENT 'Since when it is refused; null: it is not',
    reopened_at           Nullable(DateTime64(3, 'UTC'))
        COMMENT 'When an operator opened the server and left this key behind; null: the key keeps it closed',
    is_revoked            UInt8 COMMENT '0: made, 1: revoked, 2: left behind; a row with a higher number replaces the others'
)
ENGINE = ReplacingMergeTree(is_revoked)
ORDER BY key_id
COMMENT 'API keys; read it with FINAL';
