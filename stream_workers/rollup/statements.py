"""The SQL behind rollups: what the rows of an hour come to, what the hours of a day do, and how either is written.

A group's numbers and its version are read together, by one statement. In an hour the newest rows of each feedback
stand. A row that stands counts 2·version + 1 towards the version of each group it is in, and 2·version + 2 once it does
not stand any more, be it that the feedback was deleted or that a later event moved it to other groups. In a day, the
versions of the hours add up.

The rows of an hour are looked at twice, and one look may see what comes after the other. So the second only names rows
that something newer has overtaken: where a look has missed something, the version is lower than where none has.

Under one version copies of several rows of a feedback may stand, if they are of several groups. Where requests are too
many to be counted in a version, the last form counts, by what it says. Elsewhere somebody has written what no worker
would, and what feedback_rows keeps of it counts; as that does not show in the version of a group, numbers that differ
under one version are written again.
"""

from stream_workers.join.snapshots import MOST_REQUESTS

KEY = "dimension, environment, key"
NUMBERS = (
    "feedback_count, joined_count, weighted_count, weight_sum, value_weight_sum, weight_value_squared_sum,"
    " squared_weight_sum, value_squared_weight_sum, squared_value_weight_sum, value_counts, last_seen"
)
COLUMNS = f"workspace, period, start, {KEY}, {NUMBERS}, version"

HOUR_COLUMNS = (
    "workspace, hour, feedback_id, created_at, value, weight, join_state, model, model_number, model_count,"
    " _user, _organisation, _prompt, _environment, version, is_deleted"
)

EPOCH_BITS = 104
"""Where a version's epoch begins: beyond any sum of versions of 2^64, over 2^30 rows and 24 hours."""

KEPT_SINCE = "(SELECT rollups_since FROM feedback.policy)"
"""From when on hours and days are kept: of what is older some rows may have been dropped, so it is computed no more."""

SUM = f"bitAnd(version, bitShiftLeft(toUInt128(1), {EPOCH_BITS}) - 1)"
IS_VALID = f"""
(workspace, period, start, toUInt32(bitShiftRight(version, {EPOCH_BITS}))) NOT IN (
    SELECT workspace, period, start, epoch FROM feedback.rollup_void_epochs
)
"""
# Of a time when rollups had no squares: only the older columns tell anything.
_LACKS = "max({row}.feedback_count > 0 AND {row}.last_seen = toDateTime64(0, 3, 'UTC'))"
# Versions that cannot count their requests any more.
_IS_FULL = f"bitAnd(version, {MOST_REQUESTS}) = {MOST_REQUESTS}"
_FORM = "(model_count, _environment, _organisation, _prompt, _user)"
_GROUPS = """
[('all', ''), ('organisation', _organisation), ('prompt', _prompt), ('user', _user), ('model', model::String)]
"""


def copied(source: str, condition: str) -> str:
    """HOUR_COLUMNS of the feedback in a table like feedback_rows that meets the condition."""
    return f"""
    SELECT {HOUR_COLUMNS} FROM (
        SELECT *, toDateTime(toStartOfHour(created_at), 'UTC') AS hour, toUInt32(length(models)) AS model_count
        FROM {source} WHERE {condition}
    )
    ARRAY JOIN if(empty(models), [''], models) AS model, arrayEnumerate(if(empty(models), [''], models)) AS model_number
    """


def standing(condition: str, feedback: str = "workspace, hour, feedback_id") -> str:
    """Those of feedback_hour_rows that meet the condition, whole hours, and whether each stands. `feedback` are the
    columns that tell feedbacks apart, of which feedback_id is enough, and cheaper, in one hour of one workspace."""
    rows = f"feedback.feedback_hour_rows WHERE {condition}"
    return f"""
    SELECT *, ({feedback}, version) IN ({_contested(rows, feedback)}) AS is_contested,
    NOT is_deleted AND ({feedback}, version) NOT IN (
        SELECT {feedback}, arrayJoin(arrayFilter(version -> version < newest, versions)) FROM (
            SELECT {feedback}, groupUniqArray(version) AS versions, max(version) AS newest
            FROM {rows} GROUP BY {feedback}
        )
    ) AND ({feedback}, version, {_FORM}) NOT IN (
        SELECT {feedback}, version, arrayJoin(arrayPopBack(arraySort(groupUniqArray({_FORM}))))
        FROM {rows} AND {_IS_FULL} GROUP BY {feedback}, version
    ) AND (
        NOT is_contested OR (workspace, feedback_id, version, {_FORM}, model::String) IN (
            SELECT workspace, feedback_id, version, {_FORM}, model
            FROM ({copied("feedback.feedback_rows FINAL", condition)})
            WHERE feedback_id IN (SELECT feedback_id FROM ({_contested(rows, feedback)}))
        )
    ) AS stands
    FROM feedback.feedback_hour_rows FINAL WHERE {condition}
    """


def _contested(rows: str, feedback: str) -> str:
    """Feedback and version of copies that cannot all be of one row, but are of several under one version: they are of
    several forms, or have more models than one row."""
    return f"""
    SELECT {feedback}, version FROM {rows} AND NOT {_IS_FULL} GROUP BY {feedback}, version
    HAVING min(cityHash64({_FORM}, model_count > 1 ? '' : model::String))
            != max(cityHash64({_FORM}, model_count > 1 ? '' : model::String))
        OR uniqExactIf(model, model_count > 1) > max(model_count)
    """


def of_hours(condition: str, feedback: str = "workspace, hour, feedback_id") -> str:
    """Workspace, hour, KEY, NUMBERS and sum of versions of each group, in the hours whose rows meet the condition."""
    # Rows alike in all that groups them are added up before they are expanded into groups.
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
            workspace, hour, group.1 AS dimension, _environment::String AS environment, group.2 AS key, value,
            sum(dimension = 'model' ? of_models.1 : of_feedback.1) AS number,
            sum(dimension = 'model' ? of_models.2 : of_feedback.2) AS joined,
            sum(dimension = 'model' ? of_models.3 : of_feedback.3) AS weights,
            sum(dimension = 'model' ? of_models.4 : of_feedback.4) AS weighted,
            sum(dimension = 'model' ? of_models.5 : of_feedback.5) AS squares,
            max(dimension = 'model' ? of_models.6 : of_feedback.6) AS last,
            sum(alike.versions) AS versions
        FROM (
            SELECT
                workspace, hour, {alike},
                {_sums_if("stands")} AS of_models,
                {_sums_if("counts")} AS of_feedback,
                sum(toUInt128(version) * 2 + 2 - (stands AND NOT is_contested)) AS versions
            FROM (
                SELECT *, join_state = 'joined' AS is_joined, stands AND model_number = 1 AS counts
                FROM ({standing(condition, feedback)})
            )
            GROUP BY workspace, hour, {alike}
        ) AS alike
        ARRAY JOIN {_GROUPS} AS group
        GROUP BY workspace, hour, dimension, environment, key, value
    )
    GROUP BY workspace, hour, dimension, environment, key
    """


def _sums_if(which: str) -> str:
    """Number, number joined, weight, number with weight, weight², and time of the newest."""
    # A weight has nine decimal places and so its square has eighteen: sums of both fit into 38 digits.
    square = "toDecimal128(weight, 9) * toDecimal128(weight, 9)"
    return (
        f"(countIf({which}), countIf({which} AND is_joined), sumIf(weight, {which}),"
        f" countIf({which} AND weight > 0), sumIf({square}, {which}), maxIf(created_at, {which}))"
    )


def of_days(condition: str) -> str:
    """Workspace, day, KEY, NUMBERS and sum of versions of each group, from the stored hours that meet the condition."""
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


# COLUMNS of those groups of some buckets of one workspace that are not stored so, under their version; `epochs` are in
# the order of `starts`.
READ = {
    "hour": _read(
        of_hours(f"workspace = {{workspace:String}} AND hour IN {_STARTS}", feedback="hour, feedback_id"), "hour"
    ),
    "day": _read(
        of_days(
            "workspace = {workspace:String}"
            f" AND start >= arrayMin({_STARTS}) AND start < arrayMax({_STARTS}) + 86400"
            f" AND toDateTime(toStartOfDay(start), 'UTC') IN {_STARTS}"
        ),
        "day",
    ),
}
WRITE = {period: f"INSERT INTO feedback.rollup_rows ({COLUMNS}) {select}" for period, select in READ.items()}
EPOCHS = """
SELECT workspace, period::String, toUnixTimestamp(start), count() FROM feedback.rollup_void_epochs
WHERE workspace IN {workspaces:Array(String)}
GROUP BY workspace, period, start
"""

# Each row of an hour is in one group of dimension `model`, and counts 2·version + 2 where what stands is added again.
STALE = f"""
SELECT workspace, toUnixTimestamp(hour) FROM (
    SELECT workspace, hour, sum(toUInt128(version) * 2 + 2) AS known FROM feedback.feedback_hour_rows FINAL
    WHERE hour >= {KEPT_SINCE}
    GROUP BY workspace, hour
) AS rows
LEFT JOIN (
    SELECT workspace, start AS hour, sum({SUM} + feedback_count) AS computed, {_LACKS.format(row="r")} AS lacks
    FROM feedback.rollup_rows AS r FINAL
    WHERE period = 'hour' AND dimension = 'model' AND {IS_VALID}
    GROUP BY workspace, hour
) AS hours USING (workspace, hour)
WHERE known > ifNull(computed, 0) OR lacks
UNION DISTINCT
SELECT workspace, toUnixTimestamp(day) FROM (
    SELECT workspace, toDateTime(toStartOfDay(start), 'UTC') AS day, sum(if(period = 'hour', {SUM}, 0)) AS known,
        sum(if(period = 'day', {SUM}, 0)) AS computed, {_LACKS.format(row="r")} AS lacks
    FROM feedback.rollup_rows AS r FINAL WHERE dimension = 'model' AND start >= {KEPT_SINCE} AND {IS_VALID}
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
