-- Which rollups count no more.
--
-- A row is:    one epoch of an hour or a day that ended with a removal. Rollups of that epoch are void.
-- Made from:   rollup_removals.
-- Read by:     the view rollups, the rollup program.
CREATE VIEW IF NOT EXISTS feedback.rollup_void_epochs
(
    workspace LowCardinality(String) COMMENT 'Whose rollups these are',
    period    Enum8('hour' = 1, 'day' = 2) COMMENT 'Length of the bucket, UTC',
    start     DateTime('UTC') COMMENT 'Start of the hour or day',
    epoch     UInt32 COMMENT 'Epoch that counts no more, from 0'
)
AS SELECT workspace, period, start, arrayJoin(range(toUInt32(count()))) AS epoch
FROM (SELECT workspace, hour, toDateTime(toStartOfDay(hour), 'UTC') AS day FROM feedback.rollup_removals FINAL)
ARRAY JOIN
    CAST(['hour', 'day'], 'Array(Enum8(\'hour\' = 1, \'day\' = 2))') AS period,
    [hour, day] AS start
GROUP BY workspace, period, start
COMMENT 'Epochs of a bucket whose rollup rows count no more; how many there are is the epoch that does';
