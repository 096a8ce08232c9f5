-- Of several claims to an idempotency key the first to be stored counts, by the number that ClickHouse gives to each block
-- of rows when it can be read; so the table keeps these numbers, and replaces no row. `feedback migrate` sets its TTL.
-- Wherever this was cut off it may begin again: a claim that stands there twice is one claim.
CREATE TABLE IF NOT EXISTS feedback.idempotency_claims
(
    workspace       LowCardinality(String),
    idempotency_key String,
    digest          String,
    claimed_at      DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (workspace, idempotency_key, digest);

CREATE TABLE IF NOT EXISTS feedback.idempotency_keys
(
    workspace       LowCardinality(String) COMMENT 'Whose key this is',
    idempotency_key String COMMENT 'The key as the caller sent it',
    digest          String COMMENT 'Of all that was sent in the call that claims it',
    claimed_at      DateTime64(3, 'UTC') COMMENT 'When the edge accepted that call'
)
ENGINE = MergeTree
ORDER BY (workspace, idempotency_key)
SETTINGS enable_block_number_column = 1, min_bytes_for_full_part_storage = 10485760
COMMENT 'Idempotency keys in use, and the calls that claim them: a key is that of the lowest _block_number';

INSERT INTO feedback.idempotency_keys (workspace, idempotency_key, digest, claimed_at)
SELECT workspace, idempotency_key, argMin(digest, (claimed_at, digest)), min(claimed_at)
FROM feedback.idempotency_claims
GROUP BY workspace, idempotency_key;

DROP TABLE IF EXISTS feedback.idempotency_claims SYNC SETTINGS max_table_size_to_drop = 0;
