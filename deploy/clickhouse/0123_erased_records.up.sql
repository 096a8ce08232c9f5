-- Records that an erasure has removed: their places in the log, and nothing of what they said.
--
-- A row is:    one Kafka record that left no other row.
-- Written by:  `feedback erase` and `feedback demo --remove`.
-- Read by:     `feedback audit` and `feedback reconcile`, which would miss the record otherwise; workers, for how far
--              the log had been read.
-- Key:         the record's place in the log.
-- Partitions:  none.
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
