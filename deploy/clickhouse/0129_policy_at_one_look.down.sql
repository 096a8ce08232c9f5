CREATE OR REPLACE VIEW feedback.policy
(
    orphaned_before DateTime64(3, 'UTC') COMMENT 'Feedback from before this, still without a request, is orphaned',
    rollups_since   DateTime('UTC') COMMENT 'Hours and days from before this are not kept'
)
AS WITH
    toUInt32OrDefault(
        (SELECT anyLast(value) FROM feedback.settings FINAL WHERE name = 'keep_rollups_days'), toUInt32(0)
    ) AS rollups_days,
    toUInt32OrDefault(
        (SELECT anyLast(value) FROM feedback.settings FINAL WHERE name = 'rollups_gone_before'), toUInt32(0)
    ) AS gone_before
SELECT
    now64(3) - toIntervalHour(toUInt32OrDefault(
        (SELECT anyLast(value) FROM feedback.settings FINAL WHERE name = 'orphan_after_hours'), toUInt32(168)
    )) AS orphaned_before,
    greatest(
        toDateTime(gone_before, 'UTC'),
        if(rollups_days = 0, toDateTime(0, 'UTC'), toStartOfDay(now('UTC')) - toIntervalDay(rollups_days))
    ) AS rollups_since
COMMENT 'Settings in force, as queries use them';
