"""The SQL that removes whole traces: finds those due, the rows that expire events cover, and completed removals.

Positions are arrays by partition, from 0: all records of that partition before this sequence have some property.
"""

from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS

_FEEDBACK_BEFORE = "{feedback_before:Array(UInt64)}[kafka_partition + 1]"
_REQUESTS_BEFORE = "{requests_before:Array(UInt64)}[kafka_partition + 1]"

# Trace hashes without an event since that time, of which the workers have committed all records. A trace in another
# partition than its hash says was written when topics had other numbers of partitions: no expire event would reach it.
DUE_TRACES = f"""
SELECT trace_hash, any(kafka_partition) FROM feedback.journal
WHERE kafka_partition < {{partitions:UInt16}}
GROUP BY trace_hash
HAVING max(if(kind = 'expiry', 0, toUnixTimestamp(recorded_at))) BETWEEN 1 AND {{idle_since:UInt32}} - 1
    AND countIf(if(kind = 'request', sequence >= {_REQUESTS_BEFORE}, sequence >= {_FEEDBACK_BEFORE})) = 0
    AND countIf(kafka_partition != bitAnd(trace_hash, 2147483647) % {{partitions:UInt16}}) = 0
"""
IN_ORDER = {"optimize_aggregation_in_order": 1}

# Expire events all of whose covered records Kafka has deleted: no worker can read these again.
_COMPLETED = """
kind = 'expiry' AND sequence < {feedback_start:Array(UInt64)}[kafka_partition + 1]
    AND JSONExtractUInt(entry, 'requests_before') <= {requests_start:Array(UInt64)}[kafka_partition + 1]
"""

# The latest committed expire event of each trace hash that still has rows which it covers (trace_state.latest_expiry).
_COVERED = f"""
SELECT trace_hash, kafka_partition, at, before FROM (
    SELECT trace_hash, kafka_partition, feedback, requests,
        arrayFilter(n -> NOT arrayExists(c -> c >= n.2 AND c < n.1, changes), expiries) AS in_force,
        arrayMax(arrayMap(n -> n.1, in_force)) AS at,
        arrayMax(arrayMap(n -> n.3, arrayFilter(n -> n.1 <= at, expiries))) AS before
    FROM (
        SELECT trace_hash, kafka_partition,
            groupUniqArrayIf((sequence, JSONExtractUInt(entry, 'feedback_before'),
                JSONExtractUInt(entry, 'requests_before')), kind = 'expiry') AS expiries,
            groupUniqArrayIf(sequence, kind = 'feedback') AS feedback,
            groupUniqArrayIf(sequence, kind = 'feedback' AND JSONExtractString(entry, 'event') != 'forget') AS changes,
            groupUniqArrayIf(sequence, kind = 'request') AS requests
        FROM feedback.journal
        WHERE trace_hash IN (SELECT trace_hash FROM feedback.journal WHERE kind = 'expiry')
            AND (kind != 'expiry' OR sequence < {_FEEDBACK_BEFORE})
        GROUP BY trace_hash, kafka_partition
    )
    WHERE notEmpty(expiries)
)
WHERE notEmpty(in_force) AND (arrayExists(s -> s < at, feedback) OR arrayExists(s -> s < before, requests))
"""


def _entries(columns: str, covered: str) -> str:
    return f"""
    SELECT {columns} FROM feedback.journal INNER JOIN ({covered}) AS covered USING (trace_hash)
    WHERE trace_hash IN (SELECT trace_hash FROM ({covered}))
        AND journal.sequence < multiIf(kind = 'feedback', covered.at, kind = 'request', covered.before, 0)
    """


_EXPIRING = "SELECT trace_hash, sequence AS at, requests_before AS before FROM feedback.expiring"

_RECORD = (
    f"if(kind = 'request', '{REQUEST_LOGS}', '{FEEDBACK_EVENTS}') AS topic,"
    " journal.kafka_partition AS kafka_partition, journal.sequence AS sequence"
)
NOTE_RECORDS = f"""
INSERT INTO feedback.expired_records (topic, kafka_partition, sequence)
SELECT topic, kafka_partition, sequence
FROM ({_entries(_RECORD, f"SELECT trace_hash, at, before FROM ({_COVERED})")})
UNION ALL SELECT '{FEEDBACK_EVENTS}', kafka_partition, sequence FROM feedback.journal WHERE {_COMPLETED}
"""
CLEAR_EXPIRING = "TRUNCATE TABLE feedback.expiring"
NOTE_EXPIRING = f"INSERT INTO feedback.expiring (trace_hash, kafka_partition, sequence, requests_before) {_COVERED}"

# The rows of requests that go. Where a request was sent again later, there are two cases: it has another row by then,
# or its trace was still there, so that a worker stored no second row. Then the covered row is the request's only one.
_COVERED_ROWS = """
    SELECT request_id, arrayJoin(arrayFilter(s -> s < before, sequences)) AS sequence FROM (
        SELECT request_id, any(before) AS before, groupArray(stored.sequence) AS sequences
        FROM feedback.request_log_rows AS stored INNER JOIN (
            SELECT id AS request_id, max(e.requests_before) AS before, max(journal.sequence) >= before AS is_sent_later
            FROM feedback.journal INNER JOIN feedback.expiring AS e USING (trace_hash) WHERE kind = 'request'
            GROUP BY id HAVING min(journal.sequence) < before
        ) AS covered USING (request_id)
        GROUP BY request_id HAVING NOT any(is_sent_later) OR max(stored.sequence) >= before
    )
"""
REQUEST_ROWS = f"(request_id, sequence) IN ({_COVERED_ROWS})"


def _older_than_the_last(table: str, key: str, is_last: str) -> str:
    """SQL for rows that are older than the last row of a removed feedback or trace."""
    return f"""({key}, version) IN (
        SELECT {key}, version FROM feedback.{table} INNER JOIN (
            SELECT {key}, max(version) AS last FROM feedback.{table} WHERE {is_last} GROUP BY {key}
        ) AS gone USING ({key}) WHERE version < last
    )"""


OLDER_FEEDBACK = _older_than_the_last("feedback_rows", "feedback_id", "join_state = 'expired'")
OLDER_AGGREGATES = _older_than_the_last("trace_aggregate_rows", "workspace, trace_id", "is_expired")
# The entry of a request stays while a row that goes is there: another pass may have emptied the list of this one before
# the row was removed, and without the entry no pass would find the row again.
JOURNAL = (
    f"(trace_hash, kind, sequence) IN ({_entries('trace_hash, kind, journal.sequence', _EXPIRING)})"
    f" AND NOT (kind = 'request' AND id IN (SELECT request_id FROM ({_COVERED_ROWS})))"
)

COUNT_COMPLETED = f"SELECT count() FROM feedback.journal WHERE {_COMPLETED}"
_SEQUENCE = "bitShiftRight(version, 16)"
_HASH_OF_ID = "reinterpretAsUInt32(reverse(unhex(substring(toString(feedback_id), 25, 8))))"
LAST_FEEDBACK = (
    f"join_state = 'expired' AND ({_HASH_OF_ID}, {_SEQUENCE}) IN"
    f" (SELECT trace_hash, sequence FROM feedback.journal WHERE {_COMPLETED})"
)
# ClickHouse's murmur2 for Kafka drops the first bit, as Kafka's partitioner does.
LAST_AGGREGATES = (
    f"is_expired AND (kafkaMurmurHash(concat(workspace, '/', trace_id)), {_SEQUENCE}) IN"
    f" (SELECT bitAnd(trace_hash, 2147483647), sequence FROM feedback.journal WHERE {_COMPLETED})"
)
EXPIRE_EVENTS = _COMPLETED
