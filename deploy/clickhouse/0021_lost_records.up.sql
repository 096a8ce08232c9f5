-- Records that Kafka no longer had when a worker came to read them, and what an operator has acknowledged of that.
-- Sequences beside which nothing else tells of them once later records are committed.
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
