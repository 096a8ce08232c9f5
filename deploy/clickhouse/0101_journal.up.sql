-- Every event that was accepted: the raw history, and all the state that the join of feedback and requests needs.
--
-- A row is:    one Kafka record, such as the creation of a feedback, its edit, or what a request adds to its trace.
--              Its content follows from the record alone, so a record that is read again writes the same row again.
-- Written by:  workers, after the rows of requests and before all other rows of the same consumer batch: no other
--              view shows what the journal does not know. `feedback up` writes the entries of stored requests where a
--              worker was killed in between and the embedded broker has died.
-- Removed by:  `feedback erase` and `feedback expire`.
-- Read by:     workers (the state of traces that they do not hold in memory), the API (receipts, history, where the
--              rows of a trace lie), `feedback audit`, `feedback reconcile`.
-- Key:         the hash of the trace, since it is looked up for thousands of random traces at once.
-- Partitions:  none, so that all that is known of a trace becomes visible together.
-- Storage:     small granules and blocks, and LZ4, for cheap look-ups (docs/design.md). Parts are merged twelve at a
--              time, not five, which writes a row half as often. A part below 10 MB is one file.
CREATE TABLE IF NOT EXISTS feedback.journal
(
    trace_hash      UInt32 COMMENT 'murmur2 of the trace key; ids carry it',
    kind            Enum8('feedback' = 1, 'request' = 2, 'expiry' = 3)
        COMMENT 'Which topic the event came by: expiry is a TraceExpired event, which comes by that of feedback',
    id              UUID COMMENT 'feedback_id or request_id',
    sequence        UInt64 COMMENT 'Offset in its partition, plus the offset base of its log',
    kafka_partition UInt16 COMMENT 'Partition of the topic',
    recorded_at     DateTime('UTC') COMMENT 'When the edge accepted the event, in whole seconds',
    line            String COMMENT 'What a look-up answers, as JSON: [trace_hash, id, sequence, entry]' CODEC(LZ4),
    entry           String ALIAS substring(line, position(line, '{'), length(line) - position(line, '{'))
        COMMENT 'The feedback event as JSON, or what a request adds to its trace'
)
ENGINE = ReplacingMergeTree
ORDER BY (trace_hash, kind, id, sequence)
SETTINGS index_granularity = 64, min_compress_block_size = 4096, merge_selector_base = 12,
    min_bytes_for_full_part_storage = 10485760
COMMENT 'Every accepted event, by trace: raw history and the state of the join';
