-- Records that went with their traces, for their age: their places in the log, so that the books still balance.
--
-- A row is:    one Kafka record that left no other row.
-- Written by:  `feedback expire`.
-- Read by:     `feedback audit` and `feedback reconcile`, which would miss the record otherwise; workers, for how far
--              the log had been read.
-- Key:         the record's place in the log.
-- Partitions:  none.
-- Storage:     sequences as differences: runs of them take next to no room.
CREATE TABLE IF NOT EXISTS feedback.expired_records
(
    topic           LowCardinality(String) COMMENT 'Topic the record came by',
    kafka_partition UInt16 COMMENT 'Partition of the topic',
    sequence        UInt64 COMMENT 'Offset in its partition, plus the offset base of its log' CODEC(Delta, ZSTD)
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, kafka_partition, sequence)
COMMENT 'Places in the log whose events went with their traces';
