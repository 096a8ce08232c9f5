CREATE TABLE IF NOT EXISTS feedback.trace_journal
(
    trace_hash      UInt32 COMMENT 'murmur2 of the trace key; ids carry it',
    kind            Enum8('feedback' = 1, 'request' = 2) COMMENT 'Which topic the event came by',
    id              UUID COMMENT 'feedback_id or request_id',
    sequence        UInt64 COMMENT 'Offset in its partition, plus the offset base of its log',
    kafka_partition UInt16 COMMENT 'Partition of the topic',
    recorded_at     DateTime('UTC') COMMENT 'When the edge accepted the event',
    entry           String COMMENT 'The feedback event as JSON, or what a request adds to its trace' CODEC(LZ4)
)
ENGINE = ReplacingMergeTree
ORDER BY (trace_hash, kind, id, sequence)
SETTINGS index_granularity = 256, merge_selector_base = 12, min_bytes_for_full_part_storage = 10485760,
    min_compress_block_size = 4096
COMMENT 'Every accepted event, by trace: raw history and the state of the join';

CREATE TABLE IF NOT EXISTS feedback.journal
(
    trace_hash UInt32, kind Enum8('feedback' = 1, 'request' = 2), id UUID, sequence UInt64, kafka_partition UInt16,
    recorded_at DateTime('UTC'), entry String
)
ENGINE = ReplacingMergeTree
ORDER BY (trace_hash, kind, id, sequence);

INSERT INTO feedback.trace_journal (trace_hash, kind, id, sequence, kafka_partition, recorded_at, entry)
SELECT trace_hash, kind, id, sequence, kafka_partition, recorded_at, entry FROM feedback.journal;

DROP TABLE IF EXISTS feedback.journal SYNC SETTINGS max_table_size_to_drop = 0;
