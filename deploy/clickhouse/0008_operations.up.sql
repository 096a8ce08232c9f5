-- Records that an erasure has removed: places in the log and nothing of what stood there.
CREATE TABLE IF NOT EXISTS feedback.erased_records
(
    topic           LowCardinality(String) COMMENT 'Topic the record came by',
    kafka_partition UInt16 COMMENT 'Partition of the topic',
    sequence        UInt64 COMMENT 'Offset in its partition, plus the offset base of its log',
    erased_at       DateTime64(3, 'UTC') COMMENT 'When it was removed'
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, kafka_partition, sequence)
COMMENT 'Places in the log whose events have been erased';

-- Dead letters that were sent through again, and where to.
CREATE TABLE IF NOT EXISTS feedback.redrives
(
    topic           LowCardinality(String) COMMENT 'Topic of the letter, and of the record it was sent as',
    kafka_partition UInt16 COMMENT 'Partition of both',
    sequence        UInt64 COMMENT 'The letter',
    new_offset      UInt64 COMMENT 'Offset of the record it was sent as',
    redriven_at     DateTime64(3, 'UTC') COMMENT 'When it was sent'
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, kafka_partition, sequence, new_offset)
COMMENT 'Dead letters that were sent through again';
