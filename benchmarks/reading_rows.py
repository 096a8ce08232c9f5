"""The SQL that makes requests and feedback of `benchmarks.reading` from their numbers, and the rows that workers leave.

Five requests are on four traces, every other trace has feedback, of which some was edited, deleted, given before its
request came, or given on a trace that never had one.
"""

from dataclasses import dataclass

from benchmarks.engines import PARTITIONS
from benchmarks.events import WORKSPACE
from benchmarks.stored_traces import murmur2_sql

USERS, ORGANISATIONS, PROMPTS = 20_000, 400, 60
ENVIRONMENTS = ("production", "staging", "development")
MODELS = ("model-a", "model-b", "model-c", "model-d", "model-e", "model-f")
_SPREAD = 0x9E3779B97F4A7C15
_LONGEST_DELAY_MS = 3 * 3_600_000
_TEXT = (
    "The report shows that revenue grew in three of four regions while costs stayed where they were. Write a title of"
    " at most eight words, then two sentences for a reader who has no time. Do not mention names. "
)


@dataclass(frozen=True)
class Month:
    """`requests` spread evenly over so many days from `start_ms` on; numbers beyond go on at the same pace."""

    requests: int
    days: int
    start_ms: int

    @property
    def length_ms(self) -> int:
        return self.days * 86_400_000

    def at(self, number: int) -> int:
        """When a request began, in Unix milliseconds."""
        return self.start_ms + number * self.length_ms // self.requests

    def number(self, at_ms: int) -> int:
        """The first request that began at a time or after it."""
        return -((self.start_ms - at_ms) * self.requests // self.length_ms)


def trace_id(trace: int) -> str:
    """The id of the trace with this number: such as chance would make it."""
    return f"{trace * _SPREAD % 2**64:016x}"


def _trace_id_sql(trace: str) -> str:
    return f"leftPad(lower(hex(toUInt64({trace}) * toUInt64({_SPREAD}))), 16, '0')"


def _listed(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(f"'{value}'" for value in values) + "]"


# Of a trace with the number t: who uses it. A user is of one organisation.
_WHO = f"""
    cityHash64(t, 'who') AS who,
    concat('user-', toString(who % {USERS})) AS user,
    concat('organisation-', toString(who % {USERS} % {ORGANISATIONS})) AS organisation,
    concat('prompt-', toString(intDiv(who, {USERS}) % {PROMPTS})) AS prompt,
    {_listed(ENVIRONMENTS)}[multiIf(bitShiftRight(who, 50) % 10 < 7, 1, bitShiftRight(who, 50) % 10 < 9, 2, 3)]
        AS environment,
    concat('"_user":"', user, '","_organisation":"', organisation, '","_prompt":"', prompt, '","_environment":"',
        environment, '"') AS specials
"""
_HASH = f"concat('{WORKSPACE}/', trace_id) AS key, {murmur2_sql(len(WORKSPACE) + 1 + len(trace_id(0)))}"


def _id(at: str, chance: str) -> str:
    """An id as workers' are: milliseconds, chance, and the trace's hash."""
    digits, more = f"lower(hex(toUInt64({at})))", f"leftPad(lower(hex({chance})), 16, '0')"
    return (
        f"toUUID(concat(substring({digits}, 1, 8), '-', substring({digits}, 9, 4), '-8', substring({more}, 1, 3), '-8',"
        f" substring({more}, 4, 3), '-', leftPad(lower(hex(trace_hash)), 8, '0'), substring({more}, 7, 4)))"
    )


def _model(number: str) -> str:
    return f"{_listed(MODELS)}[1 + cityHash64({number}, 'model') % {len(MODELS)}]"


def _provider(model: str) -> str:
    return f"if({model} IN ('model-a', 'model-b', 'model-c'), 'openai', 'anthropic')"


def requests_sql(month: Month, first: int, end: int) -> str:
    """Requests by their numbers: the fifth of each five is a second one on the first's trace."""
    return f"""
    WITH number AS n, intDiv(n, 5) * 4 + n % 5 % 4 AS t,
        {_trace_id_sql("t")} AS trace_id, {_HASH}, {_WHO},
        toInt64({month.start_ms}) + intDiv(n * {month.length_ms}, {month.requests}) AS at_ms,
        cityHash64(n) AS h, {_model("n")} AS model, {_provider("model")} AS provider,
        toUInt64(100 + h % 900) AS tokens_in, toUInt64(20 + intDiv(h, 900) % 400) AS tokens_out
    SELECT n, trace_id, trace_hash, at_ms, {_id("at_ms", "h")} AS id, bitAnd(trace_hash, 0x7fffffff) % {PARTITIONS} AS
        kafka_partition, h, model, provider, tokens_in, tokens_out, user, organisation, prompt, environment, specials
    FROM numbers({first}, {max(0, end - first)})
    """


JOURNAL_OF_REQUESTS = f"""
(trace_hash, kind, id, sequence, kafka_partition, recorded_at, line)
SELECT trace_hash, 'request', id, n, kafka_partition, fromUnixTimestamp64Milli(at_ms),
    concat('[', toString(trace_hash), ',"', toString(id), '",', toString(n),
        ',{{{{"event":"fact","workspace":"{WORKSPACE}","trace_id":"', trace_id, '","started_at":', toString(at_ms),
        ',"provider":"', provider, '","model":"', model, '","user":"', user, '","organisation":"', organisation,
        '","prompt":"', prompt, '","environment":"', environment, '"}}}}]')
FROM ({{requests}})
"""
REQUEST_ROWS = f"""
(workspace, request_id, trace_id, span_id, parent_span_id, span_name, started_at, received_at, provider, model, method,
 url, status, response_time_ms, prompt_tokens, completion_tokens, total_tokens, cost, _user, _organisation, _prompt,
 _environment, metadata, request_headers, request_body, response_headers, response_body, sequence)
WITH repeat('{_TEXT}', 12) AS text
SELECT '{WORKSPACE}', id, trace_id, concat('span-', toString(n)), n % 5 = 4 ? concat('span-', toString(n - 4)) : '',
    n % 5 = 4 ? 'title' : 'chat', fromUnixTimestamp64Milli(at_ms), fromUnixTimestamp64Milli(at_ms + 400 + h % 3000),
    provider, model, 'post', concat('https://', provider, '.example/v1/chat/completions'),
    multiIf(h % 100 < 97, 200, h % 100 < 99, 429, 500), 300 + h % 4000, tokens_in, tokens_out,
    tokens_in + tokens_out, round((tokens_in + 4 * tokens_out) / 5000, 4), user, organisation, prompt, environment,
    concat('{{{{', specials, ',"plan":"', ['free', 'free', 'free', 'pro', 'enterprise'][1 + h % 5],
        '","region":"region-', toString(intDiv(h, 5) % 8), '","release":"2026.', toString(intDiv(n, 300000)),
        '","session":"session-',
        toString(cityHash64(intDiv(n, 10)) % 4000000000), '","turn":', toString(1 + intDiv(h, 40) % 9), '}}}}'),
    '{{{{"content-type":"application/json","user-agent":"app/1.0"}}}}',
    concat('{{{{"model":"', model, '","messages":[{{{{"role":"user","content":"',
        substring(text, 1 + h % 1000, 600), hex(h), '"}}}}]}}}}'),
    '{{{{"content-type":"application/json"}}}}',
    concat('{{{{"id":"', hex(h), '","choices":[{{{{"message":{{{{"role":"assistant","content":"',
        substring(text, 1 + intDiv(h, 1000) % 1000, 300), '"}}}}}}}}],"usage":{{{{"total_tokens":',
        toString(tokens_in + tokens_out), '}}}}}}}}'),
    n
FROM ({{requests}})
"""


def feedback_sql(month: Month, begin_ms: int, until_ms: int) -> str:
    """Feedback by the time at which its trace was judged: what it said at first and what it says in the end."""
    first = max(0, month.number(begin_ms - _LONGEST_DELAY_MS) // 5 * 4)
    end = month.number(until_ms) // 5 * 4 + 4
    return f"""
    WITH number AS t, intDiv(t, 4) * 5 + t % 4 AS n, t % 4 = 0 AS is_double, t % 200 = 10 AS is_alone,
        {_trace_id_sql("t + is_alone * 1000000000000")} AS trace_id, {_HASH}, {_WHO},
        toInt64({month.start_ms}) + intDiv(n * {month.length_ms}, {month.requests}) AS asked_ms,
        cityHash64(t, 'delay') AS delay,
        asked_ms + 2000 + (delay % 10 = 0 ? delay % {_LONGEST_DELAY_MS - 2000} : delay % 600000) AS
            judged_ms,
        arrayJoin(t % 8 = 0 ? [0, 1] : [0]) AS k, cityHash64(t, k, 'feedback') AS h,
        judged_ms + 1500 * k AS at_ms, {_id("at_ms", "h")} AS id, h % 10 < 6 AS is_own,
        multiIf(is_alone, 'plain', h % 100 < 8, 'edited', h % 100 = 8, 'deleted', h % 100 < 11, 'late', 'plain')
            AS kind,
        {_model("n")} AS one_model, {_model("n + 4")} AS other_model,
        arraySort(arrayDistinct(is_double ? [one_model, other_model] : [one_model])) AS on_models,
        toInt8([10, 10, 5, 5, 5, 1, 1, -1, -5, -10][1 + intDiv(h, 100) % 10]) AS value,
        toDecimal64(bitShiftRight(h, 20) % 10 < 4 ? 100 : 1 + bitShiftRight(h, 24) % 100, 9) / 100 AS weight,
        toInt8(-value) AS later_value, at_ms + 30000 + delay % 200000 AS later_ms,
        multiIf(is_alone, 0, is_double, 2, 1) AS requests,
        toInt64({month.start_ms}) + intDiv((n + 4) * {month.length_ms}, {month.requests}) AS asked_again_ms,
        is_alone ? toDate(0) : toDate(fromUnixTimestamp64Milli(asked_ms, 'UTC')) AS first_day,
        is_double ? toDate(fromUnixTimestamp64Milli(asked_again_ms, 'UTC')) : first_day AS last_day,
        t * 8 + k * 4 AS sequence,
        concat('"text":"',
            ['title was irrelevant', 'helpful', 'too long', 'wrong figure'][1 + bitShiftRight(h, 40) % 4],
            '","source":"', ['button', 'form', 'review'][1 + bitShiftRight(h, 44) % 3], '"') AS said
    SELECT t, trace_id, trace_hash, id, kind, is_alone, is_own, on_models, arraySort(arrayDistinct(arrayMap(m ->
        {_provider("m")}, on_models))) AS on_providers, value, weight, later_value, at_ms, later_ms, requests,
        first_day, last_day, sequence, user, organisation, prompt, environment, specials,
        concat('{{', said, is_own ? concat(',', specials) : '', '}}') AS metadata,
        bitAnd(trace_hash, 0x7fffffff) % {PARTITIONS} AS kafka_partition
    FROM numbers({first}, {end - first})
    WHERE t % 2 = 0 AND judged_ms >= {begin_ms} AND judged_ms < {until_ms}
    """


_ROW = """
(workspace, feedback_id, trace_id, value, weight, created_at, updated_at, join_state, models, providers,
 _user, _organisation, _prompt, _environment, metadata, home_user, home_organisation, home_prompt, home_environment,
 version, is_deleted)
SELECT '{workspace}', id, trace_id, {value}, weight,
    fromUnixTimestamp64Milli(at_ms), fromUnixTimestamp64Milli({updated}),
    {waits} ? 'pending' : 'joined', {waits} ? [] : on_models, {waits} ? [] : on_providers,
    is_own OR NOT {waits} ? user : '', is_own OR NOT {waits} ? organisation : '', is_own OR NOT {waits} ? prompt : '',
    is_own OR NOT {waits} ? environment : '', metadata,
    is_own ? user : '', is_own ? organisation : '', is_own ? prompt : '', is_own ? environment : 'other',
    bitShiftLeft(toUInt64({sequence}), 16) + ({waits} ? 0 : requests), {deleted}
FROM ({{feedback}}) WHERE {which}
"""
FIRST_ROWS = _ROW.format(
    workspace=WORKSPACE, value="value", updated="at_ms", waits="(is_alone OR kind = 'late')", sequence="sequence",
    deleted="0", which="1",
)  # fmt: skip
LATER_ROWS = _ROW.format(
    workspace=WORKSPACE, value="kind = 'edited' ? later_value : value",
    updated="kind = 'late' ? at_ms : later_ms", waits="is_alone",
    sequence="kind = 'late' ? sequence : sequence + 1", deleted="kind = 'deleted'", which="kind != 'plain'",
)  # fmt: skip
_AGGREGATE = """
(workspace, trace_id, feedback_count, weight_sum, value_weight_sum, weight_value_squared_sum, value_min, value_max,
 value_last, requests, first_request_day, last_request_day, updated_at, version)
SELECT '{workspace}', trace_id, countIf(stands), sumIf(weight, stands), sumIf(v * weight, stands),
    sumIf(weight * v * v, stands), if(count_ = 0, NULL, minIf(v, stands)), if(count_ = 0, NULL, maxIf(v, stands)),
    if(count_ = 0, NULL, argMaxIf(v, changed_ms, stands)), any(requests), any(first_day), any(last_day),
    fromUnixTimestamp64Milli(max(changed_ms)),
    bitShiftLeft(toUInt64(max(changed)), 16) + any(requests)
FROM (
    SELECT *, {value} AS v, {stands} AS stands, {changed} AS changed, {changed_ms} AS changed_ms,
        countIf(stands) OVER (PARTITION BY trace_id) AS count_
    FROM ({{feedback}}) WHERE {which}
)
GROUP BY trace_id, count_
"""
FIRST_AGGREGATES = _AGGREGATE.format(
    workspace=WORKSPACE, value="value", stands="1", changed="sequence", changed_ms="at_ms",
    which="t % 8 = 0 AND sequence % 8 = 0 OR kind IN ('edited', 'deleted')",
)  # fmt: skip
AGGREGATES = _AGGREGATE.format(
    workspace=WORKSPACE, value="(kind = 'edited' ? later_value : value)", stands="(kind != 'deleted')",
    changed="(kind IN ('edited', 'deleted') ? sequence + 1 : sequence)",
    changed_ms="(kind IN ('edited', 'deleted') ? later_ms : at_ms)", which="1",
)  # fmt: skip
JOURNAL_OF_FEEDBACK = f"""
(trace_hash, kind, id, sequence, kafka_partition, recorded_at, line)
SELECT trace_hash, 'feedback', id, event.1, kafka_partition, fromUnixTimestamp64Milli(event.2),
    concat('[', toString(trace_hash), ',"', toString(id), '",', toString(event.1), ',{{{{"event":"', event.3,
        '","workspace":"{WORKSPACE}","feedback_id":"', toString(id), '",', event.4, '}}}}]')
FROM (
    SELECT *, replaceOne(toString(fromUnixTimestamp64Milli(at_ms, 'UTC')), ' ', 'T') AS at,
        replaceOne(toString(fromUnixTimestamp64Milli(later_ms, 'UTC')), ' ', 'T') AS later,
        arrayJoin(arrayFilter(event -> event.3 != '', [
            (sequence, at_ms, 'create', concat('"trace_id":"', trace_id, '","value":', toString(value), ',"weight":',
                toString(weight), ',"metadata":', metadata, is_own ? concat(',', specials) : '',
                ',"home_environment":"', is_own ? environment : 'other', '","created_at":"', at, 'Z"')),
            (sequence + 1, later_ms, kind = 'edited' ? 'update' : '', concat('"value":', toString(later_value),
                ',"updated_at":"', later, 'Z"')),
            (sequence + 1, later_ms, kind = 'deleted' ? 'delete' : '', concat('"deleted_at":"', later, 'Z"'))
        ])) AS event
    FROM ({{feedback}})
)
"""
