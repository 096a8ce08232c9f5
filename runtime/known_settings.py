"""The list of all environment variables that programs and commands read, and the message about any other.

There is one list for all programs because they share an environment: a setting of the worker is no mistake in the
environment of the edge. A test compares the list with the settings of all programs.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from runtime.utf8 import is_utf8

PREFIX = "FEEDBACK_"

_NAMES = """
ALLOWED_HOSTS ANALYTICS_TIMEOUT_S BROWSER_ORIGINS CACHE_MB CLICKHOUSE_URL CLOSED_MARK COMMIT_INTERVAL_S CONSUMER_GROUP
ENVIRONMENTS EVALUATION_SCORES EXPORT_DIR EXPORT_KEEP_HOURS EXPORT_LEASE_S EXPORT_MAX_BYTES EXPORT_MAX_FILES
EXPORT_MAX_ORDERS EXPORT_MAX_RUNNING EXPORT_MAX_WORKSPACE_BYTES EXPORT_MIN_FREE_BYTES EXPORT_URL_MINUTES
GATEWAY_ALLOWED_UPSTREAMS GATEWAY_HOST GATEWAY_MAX_HELD_BYTES GATEWAY_PORT GATEWAY_TIMEOUT_S GATEWAY_UPSTREAM HOST
IDEMPOTENCY_ENTRIES KAFKA_BOOTSTRAP KAFKA_IDEMPOTENCE KEEP_BODIES KEEP_DEAD_LETTERS_DAYS KEEP_HEADERS
KEEP_IDEMPOTENCY_KEYS_DAYS KEEP_REQUEST_LOGS_DAYS KEEP_ROLLUPS_DAYS KEEP_TRACES_DAYS KEEP_URL_PARAMETERS LINGER_MS
LOG_FORMAT MAX_BODY_BYTES MAX_BULK MAX_CONNECTIONS MAX_DEAD_SHARE MAX_HELD_BODY_BYTES MAX_IN_FLIGHT_BYTES
MAX_LOGGED_BODY_BYTES MAX_METADATA_BYTES MAX_POLL_RECORDS MAX_TRACE_ID_CHARS MAX_UNPACKED_BYTES METRICS_HOST
METRICS_PORT OFFSET_BASE ORPHAN_AFTER_HOURS PORT PRODUCE_TIMEOUT_S PUBLIC_URL QUERY_TIMEOUT_S RATE_LIMIT_PER_S
READ_RATE_LIMIT_PER_S RECEIPT_TIMEOUT_S RECEIVE_TIMEOUT_S REQUIRE_KEYS ROLLUP_GROUP ROLLUP_INTERVAL_S
SESSION_TIMEOUT_S SIGNING_SECRET
"""
KNOWN = frozenset(PREFIX + name for name in _NAMES.split())
# Settings of earlier versions, which removed parts of traces.
_REPLACED = dict.fromkeys(
    ("FEEDBACK_KEEP_AGGREGATES_DAYS", "FEEDBACK_KEEP_FEEDBACK_DAYS", "FEEDBACK_KEEP_JOURNAL_DAYS"),
    "since it took traces apart: set FEEDBACK_KEEP_TRACES_DAYS, the days without an event after which a trace is"
    " removed whole.",
)
# Read by tests alone.
_OF_TESTS = frozenset(f"FEEDBACK_REQUIRE_{what}" for what in ("BROWSER", "KAFKA", "LITELLM", "NODE"))
# Read by clients of the API, who may run where its programs do.
_OF_CLIENTS = frozenset({"FEEDBACK_URL", "FEEDBACK_API_KEY"})
# Kubernetes adds these for a service whose name begins with feedback.
_SERVICE_LINK = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)", re.ASCII
)
# How similar a variable without the prefix must be to a setting to count as a misspelt one.
_SLIP_OF_THE_PREFIX = 0.9


def unknown_settings(environment: Mapping[str, str]) -> list[str]:
    """A sentence for each variable that looks like a setting and is none, or is one without text, sorted by name."""
    return [sentence for name in sorted(environment) if (sentence := _fault(name, environment[name]))]


def _fault(given: str, value: str) -> str:
    name = given.upper()
    if name in KNOWN | _OF_CLIENTS | _OF_TESTS or _is_service_link(name, value):
        return "" if is_utf8(value) else f"{given} must be UTF-8 text, got {value!r}."
    if name in _REPLACED:
        return f"{given} is no longer a setting, {_REPLACED[name]}" if value else ""
    if name.startswith(PREFIX):
        nearest = get_close_matches(name.removeprefix(PREFIX), _without_prefix(KNOWN), 1, 0.5)
        hint = f"did you mean {PREFIX}{nearest[0]}?" if nearest else "docs/operations.md lists what there is."
        return f"{given} is not a setting of this version: {hint}"
    if name.startswith("FEED") and (slip := get_close_matches(name, KNOWN, 1, _SLIP_OF_THE_PREFIX)):
        return f"{given} is not a setting: did you mean {slip[0]}?"
    return ""


def _is_service_link(name: str, value: str) -> bool:
    return bool(_SERVICE_LINK.fullmatch(name)) or (name.endswith("_PORT") and value.startswith(("tcp://", "udp://")))


def _without_prefix(names: Iterable[str]) -> list[str]:
    return sorted(name.removeprefix(PREFIX) for name in names)
