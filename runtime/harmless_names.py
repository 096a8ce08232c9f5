"""The names of headers and URL parameters whose values may be stored, because they are known to hold no secret. Pure.

The values of all other names are redacted: a list of secret names is never complete, while a harmless name that is
missing here costs no more than a setting.
"""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from runtime.setting_lists import CommaList

_CONTENT = (
    *("content-type", "content-length", "content-encoding", "content-language", "content-range", "content-disposition"),
    *("content-md5", "content-digest", "content-transfer-encoding", "content-version", "content-features"),
    *("accept", "accept-charset", "accept-encoding", "accept-language", "accept-ranges", "accept-patch", "accept-post"),
    *("transfer-encoding", "te", "trailer"),
)
_EXCHANGE = (
    *("age", "alt-svc", "cache-control", "cf-cache-status", "connection", "date", "dnt", "etag", "expect", "expires"),
    *("host", "keep-alive", "last-modified", "pragma", "priority", "range", "server", "server-timing"),
    *("strict-transport-security", "upgrade-insecure-requests", "user-agent", "vary", "via", "x-accel-buffering"),
    *(
        ":method",
        ":scheme",
        ":status",
        "x-cache",
        "x-content-type-options",
        "x-frame-options",
        "x-powered-by",
        "x-xss-protection",
    ),
)
_TRACING = (
    *("traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled"),
    *("x-b3-flags", "x-cloud-trace-context", "sentry-trace", "uber-trace-id", "x-datadog-parent-id"),
    *("x-datadog-sampling-priority", "x-portkey-span-name", "x-portkey-parent-span-id", "cf-ray", "x-vercel-id"),
    *("x-amz-cf-id", "x-amz-cf-pop", "x-amz-id-2", "x-amzn-requestid", "x-served-by"),
)
_RATE_LIMITS = ("ratelimit", "retry-after", "retry-after-ms", "x-should-retry", "x-retry-count", "x-retry-after")
_PROVIDERS = (
    *("anthropic-beta", "openai-beta", "openai-model", "openai-processing-ms", "x-envoy-upstream-service-time"),
    *("x-amzn-bedrock-input-token-count", "x-amzn-bedrock-invocation-latency", "x-amzn-bedrock-output-token-count"),
    *("provider", "x-goog-api-client", "x-ms-region", "x-response-time", "x-runtime", "x-portkey-cache-status"),
    *("x-portkey-last-used-option-index", "x-portkey-provider", "x-portkey-retry-attempt-count", "x-portkey-runtime"),
    *("x-stainless-arch", "x-stainless-async", "x-stainless-helper-method", "x-stainless-lang", "x-stainless-os"),
    *("x-stainless-read-timeout", "x-stainless-retry-count", "x-stainless-runtime", "x-stainless-timeout"),
)
HEADERS = frozenset((*_CONTENT, *_EXCHANGE, *_TRACING, *_RATE_LIMITS, *_PROVIDERS))
HEADER_FAMILIES = ("ratelimit-", "x-ratelimit-", "x-rate-limit-", "anthropic-ratelimit-")
"""Prefixes of names: each provider has its own rate-limit headers for tokens, requests and times."""
HEADER_KINDS = ("request-id", "correlation-id", "trace-id", "span-id", "-version")
"""Suffixes of names: each provider adds its own prefix."""

_SPEAKS_OF_A_SECRET = re.compile(
    r"auth|bearer|bypass|cookie|credential|jwt|(?<![a-z])key|(?:access|api|private)key|passw|pwd|secret|session|sign"
    r"|token(?!s)"
)
"""In a name that only its family or kind makes known, such as `x-ratelimit-api-key`."""

PARAMETERS = frozenset(
    (
        *("alt", "api-version", "beta", "format", "lang", "language", "limit", "model", "offset", "order", "page"),
        *("page-size", "per-page", "sort", "stream", "version"),
    )
)


@dataclass(frozen=True)
class HarmlessNames:
    """The names known here, and those that the operator adds. Case does not matter, and `_` is the same as `-`."""

    more_headers: frozenset[str] = frozenset()
    more_parameters: frozenset[str] = frozenset()

    def has_header(self, name: str) -> bool:
        """Whether the value of this header may be stored."""
        plain = normalized(name)
        return (
            plain in HEADERS
            or plain in self.more_headers
            or (
                (plain.startswith(HEADER_FAMILIES) or plain.endswith(HEADER_KINDS))
                and not _SPEAKS_OF_A_SECRET.search(plain)
            )
        )

    def has_parameter(self, name: str) -> bool:
        """Whether the value of this URL parameter may be stored."""
        plain = normalized(name)
        return plain in PARAMETERS or plain in self.more_parameters


def normalized(name: str) -> str:
    """A name in the form of the lists here."""
    return name.lower().replace("_", "-")


_KEPT = re.compile(r"[0-9A-Za-z._-]{1,64}")


def _kept(names: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_KEPT.fullmatch(name) for name in names) or len(names) > 200:
        raise ValueError("must be up to 200 names with commas between them, each of up to 64 of A-Z a-z 0-9 - _ .")
    return names


KeptNames = Annotated[CommaList, AfterValidator(_kept)]
"""A setting that adds names, separated by commas."""


def harmless_with(headers: tuple[str, ...], parameters: tuple[str, ...]) -> HarmlessNames:
    """The names known here with those that the operator adds."""
    return HarmlessNames(frozenset(map(normalized, headers)), frozenset(map(normalized, parameters)))
