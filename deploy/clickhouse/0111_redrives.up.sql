-- Dead letters that were sent through again, and where to.
--
-- A row is:    one sending of one dead letter. A letter may be sent more than once.
-- Written by:  `feedback dead redrive` and the admin API.
-- Read by:     the same, to tell which letters have been sent.
-- Key:         the letter's place in the log, then the place it was sent to.
-- Partitions:  none; there are few rows.
CREATE TABLE IF NOT EXISTS feedback.redrives
(
    topic           LowCardinality(String) COMMENT 'Topic of the letter, and of the record it was sent as',
    kafka_partition UInt16 COMMENT 'Partition of both',
    sequence        UInt64 COMMENT 'The letter: its offset, plus the offset base of its log',
    new_offset      UInt64 COMMENT 'Offset of the record it was sent as',
    redriven_at     DateTime64(3, 'UTC') COMMENT 'When it was sent'
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, kafka_partition, sequence, new_offset)
COMMENT 'Dead letters that were sent through again';
