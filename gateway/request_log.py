"""Writes a call that has passed as the log of a request: the arguments of the client's `log`. Pure.

No credential gets this far into a log: values of headers and of URL parameters stay out unless their names are known to
be harmless, by the same lists as at the edge.
"""

from dataclasses import dataclass
from typing import Any

from feedback_client.model_calls import PROVIDERS
from gateway.call_record import CallOutcome, CallRecord, KeptBody
from gateway.logged_body import logged_body
from gateway.passed_headers import Pairs
from runtime.harmless_names import HarmlessNames
from runtime.url_redaction import REDACTED, url_without_secrets

OUTCOME = "gateway_outcome"
"""The key in the metadata of a call that did not end well."""

PROVIDER = b"x-portkey-provider"

CALLER_LEFT, NO_ANSWER, TIMED_OUT = 499, 502, 504
"""The statuses that stand in a log where no head of an answer came."""

_STATUSES = {CallOutcome.CALLER_LEFT: CALLER_LEFT, CallOutcome.UPSTREAM_TIMED_OUT: TIMED_OUT}


@dataclass(frozen=True)
class LogRules:
    """What of a call is logged: the most of a body, and which names are harmless beside those that are known."""

    most_body_bytes: int
    harmless: HarmlessNames


def request_log(record: CallRecord, rules: LogRules) -> dict[str, Any]:
    """The arguments of `Client.log` for this call."""
    trace, outcome = record.trace, record.outcome
    metadata = trace.metadata if outcome is CallOutcome.COMPLETE else {**trace.metadata, OUTCOME: outcome.value}
    return {
        "trace_id": trace.trace_id,
        **trace.span,
        "metadata": metadata,
        "started_at": record.started_at,
        "request": {
            "url": url_without_secrets(record.url, rules.harmless),
            "method": record.method.lower(),
            "provider": record.provider,
            "headers": _headers(record.request_headers, rules),
            "body": _body(record.request_body, record.request_headers, rules),
        },
        "response": {
            "status": _STATUSES.get(outcome, NO_ANSWER) if record.status is None else record.status,
            "response_time": round(record.took_s * 1000, 3),
            "headers": _headers(record.response_headers, rules),
            "body": _body(record.response_body, record.response_headers, rules),
        },
    }


def provider_of(host: str, named: bytes | None) -> str:
    """The name of a provider: that of the header, or else the one that is known for the host, or the host."""
    text = (named or b"").decode("latin-1").strip().removeprefix("@")
    return text[:100] if text.isprintable() and text else PROVIDERS.get(host, host)


def _headers(pairs: Pairs, rules: LogRules) -> list[list[str]]:
    named = ((name.decode("latin-1").lower(), value) for name, value in pairs)
    return [
        [name, value.decode("latin-1").replace("\0", "") if rules.harmless.has_header(name) else REDACTED]
        for name, value in named
    ]


def _body(kept: KeptBody, headers: Pairs, rules: LogRules) -> Any:
    found = {name.lower(): value for name, value in headers}
    content_type, coding = (
        found.get(name, b"").decode("latin-1").strip() for name in (b"content-type", b"content-encoding")
    )
    return logged_body(kept, content_type, coding.lower(), rules.most_body_bytes)
