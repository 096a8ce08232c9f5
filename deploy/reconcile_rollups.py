"""The narrow copy by hour compared with the rows, and hours and days with what those rows come to."""

from datetime import datetime

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from deploy.differences import Difference, Pause, lasting
from stream_workers.rollups import Hour, compute, hours_query

_CONTENT = """
SELECT feedback_id, max(version) AS newest, argMax(cityHash64(
    value, weight, join_state, arrayMap(m -> m::String, models), _user, _organisation, _prompt,
    _environment::String, is_deleted), version) AS content
FROM feedback.{table} GROUP BY feedback_id
"""


def hour_rows(client: Client, repair: bool, pause: Pause) -> list[Difference]:
    of_rows, of_hours = (
        _CONTENT.replace("{table}", table).replace("DISTINCT toString(feedback_id)", "feedback_id, version, content")
        for table in ("feedback_rows", "feedback_hour_rows")
    )
    query = (
        f"SELECT DISTINCT toString(feedback_id) FROM (({of_rows} EXCEPT {of_hours})"
        f" UNION ALL ({of_hours} EXCEPT {of_rows}))"
    )
    found = lasting(client, "feedback_hour_rows that are not as feedback_rows", query, pause)
    if repair and found.keys:
        chosen = {"ids": found.keys}
        client.command(
            "ALTER TABLE feedback.feedback_hour_rows DELETE WHERE toString(feedback_id) IN {ids:Array(String)}"
            " SETTINGS mutations_sync = 2",
            parameters=chosen,
        )
        client.command(
            "INSERT INTO feedback.feedback_hour_rows SELECT workspace, toDateTime(toStartOfHour(created_at), 'UTC'),"
            " feedback_id, value, weight, join_state, models, _user, _organisation, _prompt, _environment, version,"
            " is_deleted FROM feedback.feedback_rows WHERE toString(feedback_id) IN {ids:Array(String)}",
            parameters=chosen,
        )
    return [found]


_NUMBERS = "feedback_count, joined_count, weight_sum, value_weight_sum, weight_value_squared_sum, value_counts"
_GROUP = "workspace, toString(period), toString(dimension), start, environment::String, key"


async def rollups(url: str, client: Client, repair: bool, pause: Pause) -> list[Difference]:
    computed = f"SELECT {_GROUP}, {_NUMBERS} FROM ({hours_query('1')}) WHERE dimension != 'bucket'"
    days = (
        "SELECT workspace, 'day', dimension, toDateTime(toStartOfDay(start), 'UTC'), environment, key,"
        " sum(feedback_count), sum(joined_count), sum(weight_sum), sum(value_weight_sum),"
        f" sum(weight_value_squared_sum), sumForEach(value_counts) FROM ({hours_query('1')})"
        " WHERE dimension != 'bucket' GROUP BY 1, 2, 3, 4, 5, 6"
    )
    stored = f"SELECT {_GROUP}, {_NUMBERS} FROM feedback.rollups WHERE period = "
    found = []
    for period, expected in (("hour", computed), ("day", days)):
        is_stored = f"{stored} '{period}'"
        query = (
            "SELECT DISTINCT concat(workspace, '/', formatDateTime(start, '%Y-%m-%dT%H:%i:%SZ')) FROM ("
            f"SELECT c1 AS workspace, c4 AS start FROM (({_numbered(expected)} EXCEPT {_numbered(is_stored)})"
            f" UNION ALL ({_numbered(is_stored)} EXCEPT {_numbered(expected)})))"
        )
        found.append(lasting(client, f"rollups of a {period} that are not what its rows come to", query, pause))
    buckets = [key.rsplit("/", 1) for each in found for key in each.keys]
    if repair and buckets:
        _forget_buckets(client, buckets)
        hours = {Hour(workspace, _unix(at)) for workspace, at in buckets}
        asynchronous = await clickhouse_connect.get_async_client(dsn=url, autogenerate_session_id=False)
        try:
            await compute(asynchronous, hours)
        finally:
            await asynchronous.close()
    return found


def _forget_buckets(client: Client, buckets: list[list[str]]) -> None:
    """Remove these hours and days, and the days of these hours, so that whatever is computed stands."""
    hours = {f"{workspace}/{at}" for workspace, at in buckets}
    days = {f"{workspace}/{at[:10]}T00:00:00Z" for workspace, at in buckets}
    for period, places in (("hour", hours), ("day", days)):
        client.command(
            "ALTER TABLE feedback.rollup_rows DELETE WHERE period = {period:String}"
            " AND concat(workspace, '/', formatDateTime(start, '%Y-%m-%dT%H:%i:%SZ')) IN {places:Array(String)}"
            " SETTINGS mutations_sync = 2",
            parameters={"period": period, "places": sorted(places)},
        )


def _numbered(query: str) -> str:
    """The query with columns named c1, c2 and so on, so that two can be compared."""
    names = ", ".join(f"tupleElement(t, {n}) AS c{n}" for n in range(1, 13))
    return f"(SELECT {names} FROM (SELECT tuple(*) AS t FROM ({query})))"


def _unix(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp())
