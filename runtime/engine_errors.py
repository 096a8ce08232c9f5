"""The kinds of errors of ClickHouse and Kafka: away, overloaded, disk full, wrong tables, no access, or other.

Pure. `classify_error` decides by the type of the error and by the engine's own codes. An error counts as temporary only
if it is known to be: a permanent one that is retried for ever stays hidden.
"""

import re

from aiohttp import ClientError
from clickhouse_connect.driver.exceptions import ClickHouseError, Error, OperationalError

from runtime.kafka_errors import EngineFailure, classify_kafka_error, is_out_of_space
from runtime.schema_version import TablesError

NOT_ENOUGH_SPACE = 243
_DISK_CODES = {NOT_ENOUGH_SPACE: "NOT_ENOUGH_SPACE", 771: "CACHE_CANNOT_WRITE_TO_CACHE_DISK"}
# With these codes, only the message tells which error of the operating system was the cause.
_FILE_CODES = frozenset({24, 71, 75, 76, 88, 172, 204, 294, 586, 641, 1001})
_ERRNO_NO_SPACE = re.compile(r"errno: (?:28|122)\b|No space left on device")
# These pass when the load falls, when a server or its keeper is back, or when somebody has freed space.
_PASSING_CODES = {
    95: "CANNOT_READ_FROM_SOCKET",
    96: "CANNOT_WRITE_TO_SOCKET",
    159: "TIMEOUT_EXCEEDED",
    164: "READONLY",
    173: "CANNOT_ALLOCATE_MEMORY",
    198: "DNS_ERROR",
    201: "QUOTA_EXCEEDED",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    203: "NO_FREE_CONNECTION",
    209: "SOCKET_TIMEOUT",
    210: "NETWORK_ERROR",
    225: "NO_ZOOKEEPER",
    236: "ABORTED",
    241: "MEMORY_LIMIT_EXCEEDED",
    242: "TABLE_IS_READ_ONLY",
    244: "UNEXPECTED_ZOOKEEPER_ERROR",
    252: "TOO_MANY_PARTS",
    254: "NO_ACTIVE_REPLICAS",
    265: "NO_AVAILABLE_REPLICA",
    285: "TOO_FEW_LIVE_REPLICAS",
    286: "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE",
    289: "REPLICA_IS_NOT_IN_QUORUM",
    290: "LIMIT_EXCEEDED",
    319: "UNKNOWN_STATUS_OF_INSERT",
    364: "RECEIVED_ERROR_TOO_MANY_REQUESTS",
    369: "ALL_REPLICAS_ARE_STALE",
    394: "QUERY_WAS_CANCELLED",
    439: "CANNOT_SCHEDULE_TASK",
    473: "DEADLOCK_AVOIDED",
    495: "ACCESS_STORAGE_READONLY",
    499: "S3_ERROR",
    573: "EPOLL_ERROR",
    692: "TOO_MANY_MUTATIONS",
    700: "USER_SESSION_LIMIT_EXCEEDED",
    745: "SERVER_OVERLOADED",
    749: "TCP_CONNECTION_LIMIT_REACHED",
    762: "HTTP_CONNECTION_LIMIT_REACHED",
    776: "RESOURCE_LIMIT_EXCEEDED",
    777: "MEMORY_RESERVATION_KILLED",
    778: "MEMORY_RESERVATION_FAILED",
    999: "KEEPER_EXCEPTION",
    1019: "QUERY_SLOT_ACQUISITION_TIMEOUT",
    1020: "MEMORY_RESERVATION_ACQUISITION_TIMEOUT",
}
# The tables are not those that this version needs.
_SCHEMA_CODES = {
    8: "THERE_IS_NO_COLUMN",
    10: "NOT_FOUND_COLUMN_IN_BLOCK",
    16: "NO_SUCH_COLUMN_IN_TABLE",
    47: "UNKNOWN_IDENTIFIER",
    60: "UNKNOWN_TABLE",
    81: "UNKNOWN_DATABASE",
}
_ACCESS_CODES = {
    192: "UNKNOWN_USER",
    193: "WRONG_PASSWORD",
    194: "REQUIRED_PASSWORD",
    497: "ACCESS_DENIED",
    516: "AUTHENTICATION_FAILED",
}
# A proxy in front of ClickHouse answers so, without a code, while it reaches no ClickHouse.
_GATEWAY = ("HTTP status 429", "HTTP status 502", "HTTP status 503", "HTTP status 504")


def classify_error(error: BaseException) -> EngineFailure:
    """The failure behind an error of ClickHouse, Kafka or the system; of any other error, `other`."""
    if is_out_of_space(error):
        return EngineFailure(
            "disk full", "clickhouse" if isinstance(error, ClickHouseError) else "", "no space left on the disk"
        )
    if isinstance(error, TablesError):
        return EngineFailure("schema", "clickhouse", str(error))
    if isinstance(error, ClickHouseError):
        return _of_clickhouse(error)
    if isinstance(error, ClientError):
        return EngineFailure("away", "clickhouse", "it does not answer")
    return classify_kafka_error(error)


def _of_clickhouse(error: ClickHouseError) -> EngineFailure:
    code = error.code if isinstance(error, Error) else None
    if code is None:
        # The driver raises this type for a connection that failed or broke; any other error without a code is a bug.
        away = isinstance(error, OperationalError) or any(status in str(error) for status in _GATEWAY)
        return EngineFailure(
            "away" if away else "other", "clickhouse", "it does not answer" if away else type(error).__name__
        )
    if name := _DISK_CODES.get(code):
        return EngineFailure("disk full", "clickhouse", f"its disk is full (code {code} {name})")
    if code in _FILE_CODES and _ERRNO_NO_SPACE.search(str(error)):
        return EngineFailure("disk full", "clickhouse", f"its disk is full (code {code})")
    if name := _PASSING_CODES.get(code):
        return EngineFailure("overloaded", "clickhouse", f"it cannot do that now (code {code} {name})")
    if name := _SCHEMA_CODES.get(code):
        return EngineFailure(
            "schema",
            "clickhouse",
            f"its tables are not those of this version (code {code} {name}): run `feedback migrate`",
        )
    if name := _ACCESS_CODES.get(code):
        return EngineFailure("access", "clickhouse", f"it lets this user do nothing there (code {code} {name})")
    return EngineFailure("other", "clickhouse", f"code {code} {getattr(error, 'name', None) or ''}".strip())
