"""The SQL of rollups: how hours are computed from rows and days from hours, and how both are written.

The totals of a group and its version are read together, by one statement. Of an hour, the newest rows of each feedback
count. A row that counts adds 2·version + 1 to the version of each group it is in. It adds 2·version + 2 once it no
longer counts, because the feedback was deleted or a later event moved it to other groups. The version of a day is the
sum of the versions of its hours.
"""

from stream_workers.rollup.hour_rows import find_contested, with_current_flag

KEY = "dimension, environment, key"
NUMBERS = (
    "feedback_count, joined_count, weighted_count, weight_sum, value_weight_sum, weight_value_squared_sum,"
    " squared_weight_sum, value_squared_weight_sum, squared_value_weight_sum, value_counts, last_seen"
)
COLUMNS = f"workspace, period, start, {KEY}, {NUMBERS}, version"

EPOCH_BITS = 104
"""The bit at which the epoch of a version begins: above any sum of versions of 2^64, over 2^30 rows and 24 hours."""

KEPT_SINCE = "(SELECT rollups_since FROM feedback.policy)"
"""The start of the hours and days that are computed. Of older ones, some rows may have been dropped."""

SUM = f"bitAnd(version, bitShiftLeft(toUInt128(1), {EPOCH_BITS}) - 1)"
IS_VALID = f"""
(workspace, period, start, toUInt32(bitShiftRight(version, {EPOCH_BITS}))) NOT IN (
    SELECT workspace, period, start, epoch FROM feedback.rollup_void_epochs
)
"""
# Rows from before rollups had squares: only their older columns are filled.
_LACKS = "max({row}.feedback_count > 0 AND {row}.last_seen = toDateTime64(0, 3, 'UTC'))"
_GROUPS = """
ARRAY JOIN
    ['all', 'organisation', 'prompt', 'user', 'model', 'prompt_model'] AS dimension,
    ['', _organisation, _prompt, _user, model::String, toJSONString([_prompt, model::String])] AS key,
    [of_feedback, of_feedback, of_feedback, of_feedback, of_models, of_models] AS sums
"""


def hour_rollups(
    condition: str, feedback: str = "workspace, hour, feedback_id", *, may_be_contested: bool = True
) -> str:
    """A query for workspace, hour, KEY, NUMBERS and version sum of each group, in the hours that meet the condition."""
    # Rows with equal grouping columns are added up before they are expanded into groups.
    alike = "_environment, _organisation, _prompt, _user, model, value"
    return f"""
    SELECT
        workspace, hour, dimension, environment, key,
        sum(number) AS feedback_count,
        sum(joined) AS joined_count,
        sum(weighted) AS weighted_count,
        sum(weights) AS weight_sum,
        sum(weights * value) AS value_weight_sum,
        sum(weights * (value * value)) AS weight_value_squared_sum,
        sum(squares) AS squared_weight_sum,
        sum(squares * value) AS value_squared_weight_sum,
        sum(squares * (value * value)) AS squared_value_weight_sum,
        sumForEach(arrayMap(v -> v = value ? number : 0, range(-10, 11))) AS value_counts,
        max(last) AS last_seen,
        sum(versions) AS version_sum
    FROM (
        SELECT
            workspace, hour, dimension, _environment::String AS environment, key, value,
            sum(sums.1) AS number,
            sum(sums.2) AS joined,
            sum(sums.3) AS weights,
            sum(sums.4) AS weighted,
            sum(sums.5) AS squares,
            max(sums.6) AS last,
            sum(alike.versions) AS versions
        FROM (
            SELECT
                workspace, hour, {alike},
                {_sums_if("is_current")} AS of_models,
                {_sums_if("counts")} AS of_feedback,
                sum(toUInt128(version) * 2 + 2 - (is_current AND NOT is_contested)) AS versions
            FROM (
                SELECT *, join_state = 'joined' AS is_joined, is_current AND model_number = 1 AS counts
                FROM ({with_current_flag(condition, feedback, may_be_contested=may_be_contested)})
            )
            GROUP BY workspace, hour, {alike}
        ) AS alike
        {_GROUPS}
        GROUP BY workspace, hour, dimension, environment, key, value
    )
    GROUP BY workspace, hour, dimension, environment, key
    """


def _sums_if(which: str) -> str:
    """A tuple: count, joined count, sum of weights, count with a weight, sum of squared weights, time of the newest."""
    # A weight has nine decimal places and so its square has eighteen: sums of both fit into 38 digits.
    square = "toDecimal128(weight, 9) * toDecimal128(weight, 9)"
    return (
        f"(countIf({which}), countIf({which} AND is_joined), sumIf(weight, {which}),"
        f" countIf({which} AND weight > 0), sumIf({square}, {which}), maxIf(created_at, {which}))"
    )


def day_rollups(condition: str) -> str:
    """A query for workspace, day, KEY, NUMBERS and version sum of each group, from hours that meet the condition."""
    return f"""
    SELECT
        workspace, toDateTime(toStartOfDay(hours.start), 'UTC') AS day, dimension::String AS dimension,
        environment::String AS environment, key,
        sum(hours.feedback_count) AS feedback_count,
        sum(hours.joined_count) AS joined_count,
        sum(hours.weighted_count) AS weighted_count,
        sum(hours.weight_sum) AS weight_sum,
        sum(hours.value_weight_sum) AS value_weight_sum,
        sum(hours.weight_value_squared_sum) AS weight_value_squared_sum,
        sum(hours.squared_weight_sum) AS squared_weight_sum,
        sum(hours.value_squared_weight_sum) AS value_squared_weight_sum,
        sum(hours.squared_value_weight_sum) AS squared_value_weight_sum,
        sumForEach(hours.value_counts) AS value_counts,
        if({_LACKS.format(row="hours")}, toDateTime64(0, 3, 'UTC'), max(hours.last_seen)) AS last_seen,
        sum({SUM}) AS version_sum
    FROM (
        SELECT * FROM feedback.rollup_rows FINAL WHERE period = 'hour' AND {condition} AND {IS_VALID}
    ) AS hours
    GROUP BY workspace, day, dimension, environment, key
    """


_STARTS = "{starts:Array(DateTime('UTC'))}"


def _read(numbers: str, start: str) -> str:
    epoch = f"transform({start}, {_STARTS}, {{epochs:Array(UInt32)}}, toUInt32(0))"
    return f"""
    SELECT {{workspace:String}}, {{period:String}}, start, {KEY}, {NUMBERS}, new_version
    FROM (
        SELECT {start} AS start, {KEY}, {NUMBERS},
            bitShiftLeft(toUInt128({epoch}), {EPOCH_BITS}) + version_sum AS new_version
        FROM ({numbers})
    )
    WHERE start >= {KEPT_SINCE} AND (start, {KEY}, {NUMBERS}, new_version) NOT IN (
        SELECT start, dimension::String, environment::String, key, {NUMBERS}, version FROM feedback.rollup_rows FINAL
        WHERE workspace = {{workspace:String}} AND period = {{period:String}} AND start IN {_STARTS}
    )
    """


_HOURS = f"workspace = {{workspace:String}} AND hour IN {_STARTS}"
_FEEDBACK = "hour, feedback_id"

# Queries for COLUMNS of those groups of one workspace that are not stored like that; `epochs` are in the order of
# `starts`.
READ = {
    "hour": _read(hour_rollups(_HOURS, _FEEDBACK), "hour"),
    "day": _read(
        day_rollups(
            "workspace = {workspace:String}"
            f" AND start >= arrayMin({_STARTS}) AND start < arrayMax({_STARTS}) + 86400"
            f" AND toDateTime(toStartOfDay(start), 'UTC') IN {_STARTS}"
        ),
        "day",
    ),
}
_INSERT = f"INSERT INTO feedback.rollup_rows ({COLUMNS})"
WRITE = {period: f"{_INSERT} {select}" for period, select in READ.items()}
# Contested copies take half of the statement, and hardly ever occur.
FIND_CONTESTED = find_contested(_HOURS, _FEEDBACK)
READ_UNCONTESTED = _read(hour_rollups(_HOURS, _FEEDBACK, may_be_contested=False), "hour")
WRITE_UNCONTESTED = f"{_INSERT} {READ_UNCONTESTED}"
EPOCHS = """
SELECT workspace, period::String, toUnixTimestamp(start), count() FROM feedback.rollup_void_epochs
WHERE workspace IN {workspaces:Array(String)}
GROUP BY workspace, period, start
"""

# Each row of an hour is in one group of dimension `prompt_model`. It adds 2·version + 2 if one is added for each that
# counts. Rollups of before have no groups of this dimension, so they are computed anew.
STALE = f"""
SELECT workspace, toUnixTimestamp(hour) FROM (
    SELECT workspace, hour, sum(toUInt128(version) * 2 + 2) AS known FROM feedback.feedback_hour_rows FINAL
    WHERE hour >= {KEPT_SINCE}
    GROUP BY workspace, hour
) AS rows
LEFT JOIN (
    SELECT workspace, start AS hour, sum({SUM} + feedback_count) AS computed, {_LACKS.format(row="r")} AS lacks
    FROM feedback.rollup_rows AS r FINAL
    WHERE period = 'hour' AND dimension = 'prompt_model' AND {IS_VALID}
    GROUP BY workspace, hour
) AS hours USING (workspace, hour)
WHERE known > ifNull(computed, 0) OR lacks
UNION DISTINCT
SELECT workspace, toUnixTimestamp(day) FROM (
    SELECT workspace, toDateTime(toStartOfDay(start), 'UTC') AS day, sum(if(period = 'hour', {SUM}, 0)) AS known,
        sum(if(period = 'day', {SUM}, 0)) AS computed, {_LACKS.format(row="r")} AS lacks
    FROM feedback.rollup_rows AS r FINAL WHERE dimension = 'prompt_model' AND start >= {KEPT_SINCE} AND {IS_VALID}
    GROUP BY workspace, day
)
WHERE known > computed OR lacks
"""
DELETE_VOID_ROWS = f"""
ALTER TABLE feedback.rollup_rows DELETE
WHERE workspace IN {{workspaces:Array(String)}}
    AND (workspace, period, start, toUInt32(bitShiftRight(version, {EPOCH_BITS}))) IN (
        SELECT workspace, period, start, epoch FROM feedback.rollup_void_epochs
        WHERE workspace IN {{workspaces:Array(String)}}
    )
"""
