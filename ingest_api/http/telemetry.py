"""Telemetry of requests: metrics, request ids, and a log line for each refused request.

Nothing that a caller sends becomes part of it, except its own `x-request-id` if that is well formed.
"""

import logging
import re
from collections.abc import Mapping
from functools import cache
from itertools import count
from secrets import token_hex

from ingest_api.records import Accepted
from ingest_api.validation.models import TRACE_ID_NAMES
from runtime.http_errors import ApiError
from runtime.log_setup import REQUEST_ID, fields
from runtime.metrics import EVENTS_ACCEPTED, OTLP_LEFT_OUT, REFUSED_FIELDS, REQUEST_SECONDS, REQUESTS_REFUSED

REQUEST_ID_HEADER = b"x-request-id"

_WELL_FORMED = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,128}").fullmatch
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_FIELD = re.compile(r"(?:\[\d+\]\.)?([\w-]+)").match
_FIELDS = {
    **{name: name for name in REFUSED_FIELDS},
    **dict.fromkeys(TRACE_ID_NAMES, "trace_id"),
}
_BY_STATUS = {
    400: "malformed",
    401: "unauthenticated",
    403: "forbidden",
    404: "unknown",
    409: "conflict",
    413: "too_large",
    429: "too_many",
}

log = logging.getLogger(__name__)
_numbers = count(1)


@cache
def _prefix() -> bytes:
    """What the ids of this process begin with: made for the first of them, so that forks have others."""
    return token_hex(8).encode()


def request_id_of(headers: Mapping[bytes, bytes]) -> bytes:
    """The id of the request with these headers: its `x-request-id`, or a new one."""
    given = headers.get(REQUEST_ID_HEADER)
    return given if given and _WELL_FORMED(given) else b"%b-%x" % (_prefix(), next(_numbers))


def log_under_request_id(request_id: bytes) -> None:
    """Have every later log line of the current request name it."""
    REQUEST_ID.set(request_id.decode())


def count_response(method: str, route: str, status: int, seconds: float) -> None:
    """Count the response to a request of any route."""
    REQUEST_SECONDS.observe(seconds, method if method in _METHODS else "other", route, status)


def log_refusal(method: str, route: str, status: int, reason: str = "") -> None:
    """Log that a request was refused."""
    logged = {"method": method, "route": route, "status": status} | ({"reason": reason} if reason else {})
    log.log(logging.WARNING if status >= 500 else logging.INFO, "refused", extra=fields(**logged))


def reason_of(refusal: ApiError) -> str:
    """One word for a refusal: its own reason, else the field at fault, else the meaning of its status."""
    if refusal.reason:
        return refusal.reason
    found = _FIELD(refusal.param or "")
    field = _FIELDS.get(found[1]) if found and refusal.status == 400 else None
    return field or _BY_STATUS.get(refusal.status, "other")


class EndpointTelemetry:
    """The telemetry of one publishing endpoint: its method and route, and the kind of event that it publishes."""

    def __init__(self, method: str, route: str, kind: str) -> None:
        self._method, self._route, self._kind = method, route, kind

    def count_accepted(self, accepted: Accepted) -> None:
        """Count events that Kafka has acknowledged, and what of their call is left out."""
        EVENTS_ACCEPTED.add(self._kind, by=len(accepted.records) - accepted.feedback)
        if accepted.feedback:
            EVENTS_ACCEPTED.add("create", by=accepted.feedback)
        for outcome, items in accepted.left_out.items():
            OTLP_LEFT_OUT.add(outcome, by=items)

    def count_refused(self, status: int, reason: str) -> None:
        """Count and log the current request as refused."""
        REQUESTS_REFUSED.add(status, reason)
        log_refusal(self._method, self._route, status, reason)

    def count_response(self, status: int, seconds: float) -> None:
        """Count the response to the current request."""
        REQUEST_SECONDS.observe(seconds, self._method, self._route, status)
