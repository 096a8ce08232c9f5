-- Records that could not become rows, with the reason and their bytes. A row is a pure function of one record.
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
    value           String COMMENT 'The record, its bytes' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, kafka_partition, sequence)
COMMENT 'Records that could not become rows, with the reason';
