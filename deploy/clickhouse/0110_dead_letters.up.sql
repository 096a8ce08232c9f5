-- Records that could not become rows, with the reason and their bytes.
--
-- A row is:    one Kafka record. Its content follows from the record alone, so reading it again changes nothing.
-- Written by:  workers.
-- Removed by:  `feedback erase`; ClickHouse itself after FEEDBACK_KEEP_DEAD_LETTERS_DAYS, which `feedback migrate`
--              sets.
-- Read by:     operators (`feedback dead`, the dashboard, docs/sql.md), the API (receipts), `feedback audit`.
-- Key:         the record's place in the log.
-- Partitions:  none; there should be few.
CREATE TABLE IF NOT EXISTS feedback.dead_letters
(
    topic           LowCardinality(String) COMMENT 'Topic the record came by',
    kafka_partition UInt16 COMMENT 'Partition of the topic',
    sequence        UInt64 COMMENT 'Offset in its partition, plus the offset base of its log',
    kafka_offset    UInt64 COMMENT 'Offset in its partition',
    recorded_at     DateTime64(3, 'UTC') COMMENT 'Time of the record',
    reason          LowCardinality(String) COMMENT 'Kind of fault, such as not_json or unknown_feedback',
    detail          String COMMENT 'One sentence that names the field',
    key             String COMMENT 'Key of the record, its bytes' CODEC(ZSTD(1)),
    value           String COMMENT 'The record, its bytes' CODEC(ZSTD(1)),
    feedback_id     String DEFAULT JSONExtractString(value, 'feedback_id')
        COMMENT 'The feedback it was about; empty where its bytes name none',
    INDEX by_feedback feedback_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, kafka_partition, sequence)
SETTINGS index_granularity = 8192, min_bytes_for_full_part_storage = 10485760
COMMENT 'Records that could not become rows, with the reason';
