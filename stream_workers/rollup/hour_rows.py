"""The SQL that tells which rows of an hour count: the newest rows of each feedback that is not deleted.

The rows of an hour are read twice, and one reading may see rows that the other does not. So the second reading only
names rows that a newer row has replaced: if a reading has missed something, the version is lower than if none has.

Several rows of a feedback may have copies under one version if they are in several groups. If there are too many
requests to be counted in a version, the last form counts, in the order of the forms' values. In any other case
something wrote rows that no worker would write; then the row that `feedback_rows` keeps counts. As that does not show
in the version of a group, totals that differ under one version are written again.
"""

from stream_workers.join.snapshots import MOST_REQUESTS

HOUR_COLUMNS = (
    "workspace, hour, feedback_id, created_at, value, weight, join_state, model, model_number, model_count,"
    " _user, _organisation, _prompt, _environment, version, is_deleted"
)

# Versions whose number of requests is at its maximum.
_IS_FULL = f"bitAnd(version, {MOST_REQUESTS}) = {MOST_REQUESTS}"
_FORM = "(model_count, _environment, _organisation, _prompt, _user)"


def hour_copies(source: str, condition: str) -> str:
    """A query for HOUR_COLUMNS of the feedback that meets the condition, from a table like feedback_rows."""
    return f"""
    SELECT {HOUR_COLUMNS} FROM (
        SELECT *, toDateTime(toStartOfHour(created_at), 'UTC') AS hour, toUInt32(length(models)) AS model_count
        FROM {source} WHERE {condition}
    )
    ARRAY JOIN if(empty(models), [''], models) AS model, arrayEnumerate(if(empty(models), [''], models)) AS model_number
    """


def with_current_flag(
    condition: str, feedback: str = "workspace, hour, feedback_id", *, may_be_contested: bool = True
) -> str:
    """A query for the rows of whole hours that meet the condition, and whether each is current (`is_current`).

    `feedback` names the columns that identify a feedback. In one hour of one workspace feedback_id is enough, and
    cheaper. `may_be_contested` is false where `find_contested` has just found none.
    """
    rows = f"feedback.feedback_hour_rows WHERE {condition}"
    is_contested, counts = "false", ""
    if may_be_contested:
        contested = _contested(condition, feedback)
        is_contested = f"({feedback}, version) IN ({contested})"
        counts = f"""AND (
            NOT is_contested OR (workspace, feedback_id, version, {_FORM}, model::String) IN (
                SELECT workspace, feedback_id, version, {_FORM}, model
                FROM ({hour_copies("feedback.feedback_rows FINAL", condition)})
                WHERE feedback_id IN (SELECT feedback_id FROM ({contested}))
            )
        )"""
    return f"""
    SELECT *, {is_contested} AS is_contested,
    NOT is_deleted AND ({feedback}, version) NOT IN (
        SELECT {feedback}, arrayJoin(arrayFilter(version -> version < newest, versions)) FROM (
            SELECT {feedback}, groupUniqArray(version) AS versions, max(version) AS newest
            FROM {rows} GROUP BY {feedback}
        )
    ) AND ({feedback}, version, {_FORM}) NOT IN (
        SELECT {feedback}, version, arrayJoin(arrayPopBack(arraySort(groupUniqArray({_FORM}))))
        FROM {rows} AND {_IS_FULL} GROUP BY {feedback}, version
    ) {counts} AS is_current
    FROM feedback.feedback_hour_rows FINAL WHERE {condition}
    """


def find_contested(condition: str, feedback: str = "workspace, hour, feedback_id") -> str:
    """A query that has a row if there is a contested copy in the hours that meet the condition."""
    return f"SELECT 1 FROM ({_contested(condition, feedback)}) LIMIT 1"


def _contested(condition: str, feedback: str) -> str:
    """A query for feedback and version of copies that cannot all be of one row: they have several forms, or more models
    than one row."""
    return f"""
    SELECT {feedback}, version FROM feedback.feedback_hour_rows WHERE {condition} AND NOT {_IS_FULL}
    GROUP BY {feedback}, version
    HAVING min(cityHash64({_FORM}, model_count > 1 ? '' : model::String))
            != max(cityHash64({_FORM}, model_count > 1 ? '' : model::String))
        OR uniqExactIf(model, model_count > 1) > max(model_count)
    """
