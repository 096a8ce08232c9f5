-- What copies feedback into its hour: a trigger, which holds no rows of its own.
--
-- A row is:    what feedback_hour_rows is given, a row for each model.
-- Made from:   each insert into feedback_rows. The last row of feedback that went with its trace is left out: what
--              was given stays given, and rollups do not shrink when a trace is removed for its age.
-- Read by:     nobody; its rows go to feedback_hour_rows.
CREATE MATERIALIZED VIEW IF NOT EXISTS feedback.feedback_into_hours TO feedback.feedback_hour_rows
AS SELECT
    workspace, toDateTime(toStartOfHour(created_at), 'UTC') AS hour, feedback_id, created_at, value, weight, join_state,
    model, model_number, toUInt32(length(models)) AS model_count,
    _user, _organisation, _prompt, _environment, version, is_deleted
FROM feedback.feedback_rows
ARRAY JOIN if(empty(models), [''], models) AS model, arrayEnumerate(if(empty(models), [''], models)) AS model_number
WHERE join_state != 'expired';
