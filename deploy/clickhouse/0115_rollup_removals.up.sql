-- Hours of which feedback was physically removed: rollups that were computed before must not count again.
--
-- A row is:    one removal that touched one hour. The epoch of an hour is how many rows it has here, that of a day
--              how many its hours have.
-- Written by:  `feedback erase`, `feedback demo --remove` and `feedback reconcile --repair`.
-- Read by:     the view rollup_void_epochs.
-- Key:         workspace, hour and removal; the same removal noted twice is one.
-- Partitions:  none; there are few rows.
CREATE TABLE IF NOT EXISTS feedback.rollup_removals
(
    workspace LowCardinality(String) COMMENT 'Whose feedback was removed',
    hour      DateTime('UTC') COMMENT 'Start of the hour in which it was created',
    removal   UUID COMMENT 'Which removal this was'
)
ENGINE = ReplacingMergeTree
ORDER BY (workspace, hour, removal)
COMMENT 'Hours of which feedback has been physically removed, once for each time';
