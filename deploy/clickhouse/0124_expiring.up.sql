-- What a pass of `feedback expire` is about to remove, noted so that all its mutations look up the same list.
--
-- A row is:    one trace hash whose traces are removed.
-- Written by:  `feedback expire`, which empties the table when it is done.
-- Read by:     the same.
-- Key:         trace_hash.
-- Partitions:  none.
CREATE TABLE IF NOT EXISTS feedback.expiring
(
    trace_hash      UInt32 COMMENT 'Whose traces are removed',
    kafka_partition UInt16 COMMENT 'Partition of the expire event and of all that it removes',
    sequence        UInt64 COMMENT 'That of the expire event: feedback events before it go',
    requests_before UInt64 COMMENT 'Requests with a sequence below this go'
)
ENGINE = MergeTree
ORDER BY trace_hash
COMMENT 'Traces whose removal was decided; empty where no removal is under way';
