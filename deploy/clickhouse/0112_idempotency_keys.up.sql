-- Which call owns an Idempotency-Key.
--
-- A row is:    one claim of one call to a key. Several workers may let calls under one key pass in the same moment;
--              then the claim that was stored first counts: that with the lowest _block_number, the number that
--              ClickHouse gives to each block of rows. So no row replaces another, and the table keeps these numbers.
-- Written by:  workers, before they store what the call sent.
-- Removed by:  ClickHouse after FEEDBACK_KEEP_IDEMPOTENCY_KEYS_DAYS, which `feedback migrate` sets.
-- Read by:     workers.
-- Key:         workspace and key.
-- Partitions:  none, since keys are looked up without a time.
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
