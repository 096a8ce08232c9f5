-- The journal keeps of each entry the line that a look-up answers, in one column and in granules of 64 rows: to find and read
-- three columns in larger ones took nearly twice as long (docs/design.md). Granules cannot be changed later, so it is a
-- table of its own, into which the old one is written; `entry` can still be read. Workers do not run meanwhile.
-- Wherever this was cut off it may begin again: the same row twice is one row.
RENAME TABLE IF EXISTS feedback.trace_journal TO feedback.trace_journal_before;

CREATE TABLE IF NOT EXISTS feedback.trace_journal_before
(
    trace_hash      UInt32,
    kind            Enum8('feedback' = 1, 'request' = 2),
    id              UUID,
    sequence        UInt64,
    kafka_partition UInt16,
    recorded_at     DateTime('UTC'),
    entry           String
)
ENGINE = ReplacingMergeTree
ORDER BY (trace_hash, kind, id, sequence);

CREATE TABLE IF NOT EXISTS feedback.journal
(
    trace_hash      UInt32 COMMENT 'murmur2 of the trace key; ids carry it',
    kind            Enum8('feedback' = 1, 'request' = 2) COMMENT 'Which topic the event came by',
    id              UUID COMMENT 'feedback_id or request_id',
    sequence        UInt64 COMMENT 'Offset in its partition, plus the offset base of its log',
    kafka_partition UInt16 COMMENT 'Partition of the topic',
    recorded_at     DateTime('UTC') COMMENT 'When the edge accepted the event',
    line            String COMMENT 'What a look-up answers, as JSON: [trace_hash, id, sequence, entry]' CODEC(LZ4),
    entry           String ALIAS substring(line, position(line, '{'), length(line) - position(line, '{'))
        COMMENT 'The feedback event as JSON, or what a request adds to its trace'
)
ENGINE = ReplacingMergeTree
ORDER BY (trace_hash, kind, id, sequence)
SETTINGS index_granularity = 64, min_compress_block_size = 4096, merge_selector_base = 12,
    min_bytes_for_full_part_storage = 10485760
COMMENT 'Every accepted event, by trace: raw history and the state of the join';

INSERT INTO feedback.journal (trace_hash, kind, id, sequence, kafka_partition, recorded_at, line)
SELECT trace_hash, kind, id, sequence, kafka_partition, recorded_at,
    concat('[', toString(trace_hash), ',"', toString(id), '",', toString(sequence), ',', entry, ']')
FROM feedback.trace_journal_before;

DROP TABLE IF EXISTS feedback.trace_journal_before SYNC SETTINGS max_table_size_to_drop = 0;
