-- What has been accepted, by trace: the raw record of every event, and all the state the join needs.
-- A row is a pure function of one Kafka record, so a replay rewrites it with itself. Not partitioned by time,
-- so that everything known of a trace becomes visible together; fine granules, because it is read by random hash.
CREATE TABLE IF NOT EXISTS feedback.trace_journal
(
    trace_hash      UInt32 COMMENT 'murmur2 of the trace key; ids carry it',
    kind            Enum8('feedback' = 1, 'request' = 2) COMMENT 'Which topic the event came by',
    id              UUID COMMENT 'feedback_id or request_id',
    sequence        UInt64 COMMENT 'Offset in its partition, plus the offset base of its log',
    kafka_partition UInt16 COMMENT 'Partition of the topic',
    recorded_at     DateTime('UTC') COMMENT 'When the edge accepted the event',
    entry           String COMMENT 'The feedback event as JSON, or what a request adds to its trace' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (trace_hash, kind, id, sequence)
SETTINGS index_granularity = 256
COMMENT 'Every accepted event, by trace: raw history and the state of the join';
