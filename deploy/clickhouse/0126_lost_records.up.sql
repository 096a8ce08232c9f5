-- Records that Kafka no longer had when a worker came to read them, and which of these an operator knows of.
--
-- A row is:    one run of records of one partition, noted as lost or as known. What also stands in another table was
--              read after all, and is not lost.
-- Written by:  workers, before anything of the consumer batch is stored; `feedback up`; operators who acknowledge a
--              loss.
-- Read by:     `feedback audit`, the admin API; workers, for how far the log had been read.
-- Key:         partition, whether it is acknowledged, and the run; a run noted twice is one row.
-- Partitions:  none; there should be no rows.
CREATE TABLE IF NOT EXISTS feedback.lost_records
(
    topic           LowCardinality(String) COMMENT 'Topic of the records',
    kafka_partition UInt16 COMMENT 'Partition of the topic',
    first_sequence  UInt64 COMMENT 'The first of them: its offset, plus the offset base of its log',
    end_sequence    UInt64 COMMENT 'The one after the last',
    is_acknowledged UInt8 DEFAULT 0 COMMENT '0: a worker has found them gone; 1: an operator knows of it',
    noted_at        DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When this was noted',
    note            String COMMENT 'What the operator has said of it'
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, kafka_partition, is_acknowledged, first_sequence, end_sequence)
COMMENT 'Records that were gone from Kafka before a worker read them';
