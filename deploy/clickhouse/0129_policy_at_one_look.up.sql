-- The view policy as before, made from one look at the settings instead of three.
--
-- Every question about feedback or rollups asks it for a moment, and ClickHouse plans each look, whether it is needed or
-- not, for longer than it reads (docs/design.md).
CREATE OR REPLACE VIEW feedback.policy
(
    orphaned_before DateTime64(3, 'UTC') COMMENT 'Feedback from before this, still without a request, is orphaned',
    rollups_since   DateTime('UTC') COMMENT 'Hours and days from before this are not kept'
)
AS WITH
    toUInt32OrDefault(anyLastIf(value, name = 'orphan_after_hours'), toUInt32(168)) AS orphaned_after,
    toUInt32OrDefault(anyLastIf(value, name = 'keep_rollups_days'), toUInt32(0)) AS rollups_days,
    toUInt32OrDefault(anyLastIf(value, name = 'rollups_gone_before'), toUInt32(0)) AS gone_before
SELECT
    now64(3) - toIntervalHour(orphaned_after) AS orphaned_before,
    greatest(
        toDateTime(gone_before, 'UTC'),
        if(rollups_days = 0, toDateTime(0, 'UTC'), toStartOfDay(now('UTC')) - toIntervalDay(rollups_days))
    ) AS rollups_since
FROM feedback.settings FINAL
COMMENT 'Settings in force, as queries use them';
