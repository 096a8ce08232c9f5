CREATE TABLE IF NOT EXISTS feedback.idempotency_keys
(
    workspace LowCardinality(String), idempotency_key String, digest String, claimed_at DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (workspace, idempotency_key)
SETTINGS enable_block_number_column = 1;

CREATE TABLE IF NOT EXISTS feedback.idempotency_claims
(
    workspace       LowCardinality(String) COMMENT 'Whose key this is',
    idempotency_key String COMMENT 'The key as the caller sent it',
    digest          String COMMENT 'Of all that was sent in the call that used it first',
    claimed_at      DateTime64(3, 'UTC') COMMENT 'When the edge accepted that call'
)
ENGINE = ReplacingMergeTree
ORDER BY (workspace, idempotency_key, digest)
TTL toDateTime(claimed_at) + INTERVAL 30 DAY
SETTINGS min_bytes_for_full_part_storage = 10485760
COMMENT 'Idempotency keys in use';

INSERT INTO feedback.idempotency_claims (workspace, idempotency_key, digest, claimed_at)
SELECT workspace, idempotency_key, argMin(digest, _block_number), min(claimed_at)
FROM feedback.idempotency_keys
GROUP BY workspace, idempotency_key;

DROP TABLE IF EXISTS feedback.idempotency_keys SYNC SETTINGS max_table_size_to_drop = 0;
