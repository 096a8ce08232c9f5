"""What the documentation says of a call, written down once more: slowly, plainly, and without any code of the edge.

`judge` tells the status of the answer, and for a call that is accepted what each of its events must hold. Of a field
that a call leaves to the edge, such as an id or the time, nothing is said.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from tests.fuzz import redaction

MAX_DEPTH = 100
MAX_SPECIAL_CHARS = 512
MAX_KEY_CHARS = 255
SPECIALS = ("_user", "_organisation", "_prompt", "_environment")
TRACE_NAMES = ("trace_id", "traceID", "traceId", "trace-id")
NUMERIC = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")

Event = dict[str, Any]


@dataclass(frozen=True)
class Rules:
    """The limits that are settings."""

    body_bytes: int
    trace_id_chars: int
    metadata_bytes: int
    bulk: int


@dataclass(frozen=True)
class Request:
    """One HTTP request as it arrives."""

    method: str
    path: str
    headers: dict[str, bytes]
    body: bytes
    again: dict[str, bytes] = field(default_factory=dict)
    """Headers that are sent once more, after all others."""


@dataclass
class Oracle:
    """Judges the calls of one edge, in their order: a key that was used is remembered."""

    rules: Rules
    keys: dict[str, str] = field(default_factory=dict)

    def judge(self, request: Request) -> tuple[int, list[Event]]:
        """The status, and the events where it is 200."""
        try:
            return 200, self._events(request)
        except _Refused as refused:
            return refused.status, []

    def _events(self, request: Request) -> list[Event]:
        one = request.path.removeprefix("/v1/feedback/").removesuffix("/")
        if request.method != "POST" and "/" in one:
            raise _Refused(404)
        headers = _combined(request)
        if len(request.body) > self.rules.body_bytes:
            raise _Refused(413)
        if request.body:
            _plain_json(headers)
        if request.method != "POST":
            identity = _identity(one)
            if request.method == "DELETE":
                return [{"event": "delete", "feedback_id": identity}]
            return [{"event": "update", "feedback_id": identity, **self._change(_read(request.body))}]
        items = self._items(_read(request.body))
        if "/logs" in request.path:
            events = [self._log(item, headers) for item in items]
            traces = [None if event["trace_id"] is ... else event["trace_id"] for event in events]
            self._claim(["log", items, _header_metadata(headers), traces], headers)
        else:
            events = [self._feedback(item, headers) for item in items]
            said = [[event[name] for name in ("trace_id", "value", "weight", "metadata")] for event in events]
            self._claim(said, headers)
        return events

    def _items(self, body: Any) -> list[Any]:
        if isinstance(body, dict) and body and all(re.fullmatch("[0-9]{1,18}", key) for key in body):
            items = [body[key] for key in sorted(body, key=lambda key: (int(key), key))]
        elif isinstance(body, list):
            items = body
        else:
            return [body]
        if not 0 < len(items) <= self.rules.bulk:
            raise _Refused
        return items

    def _feedback(self, item: Any, headers: dict[str, bytes]) -> Event:
        if not isinstance(item, dict):
            raise _Refused
        trace_id = _text(_first(item, *TRACE_NAMES)) or _header(headers, "x-portkey-trace-id")
        self._checked_trace(trace_id)
        weight = _number(item.get("weight"))
        metadata = self._metadata(item.get("metadata"))
        return {
            "event": "create",
            "trace_id": trace_id,
            "value": _whole(item.get("value"), -10, 10),
            "weight": 1.0 if weight is None else _weight(weight),
            "metadata": metadata,
            **_specials(metadata),
        }

    def _change(self, body: Any) -> Event:
        if not isinstance(body, dict):
            raise _Refused
        event: Event = {}
        if body.get("value") is not None:
            event["value"] = _whole(body["value"], -10, 10)
        if body.get("weight") is not None:
            event["weight"] = _weight(_number(body["weight"]))
        if body.get("metadata") is not None:
            event["metadata"] = self._metadata(body["metadata"])
            event |= _specials(event["metadata"])
        if not event:
            raise _Refused
        return event

    def _log(self, item: Any, headers: dict[str, bytes]) -> Event:
        if not isinstance(item, dict):
            raise _Refused
        request, response = _object(item.get("request")), _object(item.get("response"))
        for holder in (request, response):
            if not isinstance(holder.get("headers"), dict | list | str | None):
                raise _Refused
        given = _header_metadata(headers) | self._metadata(item.get("metadata"), False)
        self._sized(given)
        traceparent = _traceparent(headers)
        told_trace = _text(_first(item, *TRACE_NAMES))
        in_metadata = next((text for name in TRACE_NAMES[:3] if (text := _text(given.get(name)))), None)
        trace_id = in_metadata or told_trace or _header(headers, "x-portkey-trace-id")
        if trace_id:
            self._checked_trace(trace_id)
        status, cost = response.get("status"), _number(item.get("cost"))
        _time(_first(item, "start_time", "started_at", "created_at"))
        took = _number(_first(response, "response_time", "responseTime", "response_time_ms"))
        if not (cost is None or -1e15 <= cost <= 1e15) or not (took is None or 0 <= took <= 1e15):
            raise _Refused
        spans = {
            name: text
            for name, given_as, fallback in (
                ("span_id", ("span_id", "spanId"), None),
                ("parent_span_id", ("parent_span_id", "parentSpanId"), traceparent[1] if traceparent else None),
                ("span_name", ("span_name", "spanName"), None),
            )
            if (text := _span(name, given_as, item, given, headers) or fallback) and text != "None"
        }
        asked = request.get("body")
        if isinstance(asked, str):
            asked = _object_or_none(asked)
        asked = asked if isinstance(asked, dict) else {}
        specials = _specials(given)
        for name, value in (
            ("_user", given.get("user")),
            ("_user", asked.get("user")),
            ("_organisation", given.get("organization")),
        ):
            if name not in specials and not isinstance(value, dict | list):
                specials |= _specials({name: value})
        told: Event = {
            "event": "request",
            "metadata": given,
            "trace_id": trace_id or (traceparent[0] if traceparent else ...),
            "status": 200 if status is None else _whole(status, 0, 65535),
            "method": _text(request.get("method")) or "post",
            "url": redaction.url(_text(request.get("url"))),
            "request_headers": redaction.headers(request.get("headers")),
            "response_headers": redaction.headers(response.get("headers")),
            "provider": _text(request.get("provider")),
            "response_time_ms": None if took is None else float(took),
            "cost": None if cost is None else float(cost),
            **_tokens(response.get("body")),
            "request_body": request.get("body"),
            "response_body": response.get("body"),
            **dict.fromkeys(("span_id", "parent_span_id", "span_name"), None),
            **spans,
            **specials,
        }
        return told

    def _metadata(self, metadata: Any, sized: bool = True) -> dict[str, Any]:
        if isinstance(metadata, str):
            metadata = _read(metadata.encode())
            if metadata is None:
                raise _Refused
        if not isinstance(metadata, dict | None):
            raise _Refused
        if metadata and sized:
            self._sized(metadata)
        return metadata or {}

    def _sized(self, metadata: dict[str, Any]) -> None:
        if len(_compact(metadata).encode()) > self.rules.metadata_bytes:
            raise _Refused

    def _checked_trace(self, trace_id: str | None) -> None:
        if not trace_id or len(trace_id) > self.rules.trace_id_chars:
            raise _Refused

    def _claim(self, said: list[Any], headers: dict[str, bytes]) -> None:
        key = _header(headers, "idempotency-key")
        if key is None:
            return
        if len(key) > MAX_KEY_CHARS:
            raise _Refused
        text = json.dumps(said, sort_keys=True)
        if self.keys.setdefault(key, text) != text:
            raise _Refused(409)


class _Refused(Exception):
    def __init__(self, status: int = 400) -> None:
        self.status = status


def _combined(request: Request) -> dict[str, bytes]:
    headers = dict(request.headers)
    for name, value in request.again.items():
        if name in headers and name not in ("baggage", "traceparent"):
            if value != headers[name]:
                raise _Refused
        else:
            headers[name] = headers[name] + b", " + value if name in headers else value
    return headers


def _plain_json(headers: dict[str, bytes]) -> None:
    kind, *parameters = headers.get("content-type", b"").decode("latin-1").lower().split(";")
    kind = kind.strip()
    if headers.get("content-type") and kind != "application/json" and not re.fullmatch(r"application/.*\+json", kind):
        raise _Refused
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name == "charset" and value.strip('"') not in ("utf-8", "utf8", "us-ascii"):
            raise _Refused
    if headers.get("content-encoding", b"").strip().lower() not in (b"", b"identity"):
        raise _Refused


def _read(raw: bytes) -> Any:
    """JSON as RFC 8259 has it, every key once, without what cannot be stored."""

    def once(members: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in members}) < len(members):
            raise _Refused
        return dict(members)

    def no_number(_: str) -> Any:
        raise _Refused

    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=once, parse_constant=no_number, parse_float=_double, parse_int=_int
        )
    except (ValueError, RecursionError):
        raise _Refused from None
    _check(value, 0)
    return value


def _double(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _Refused
    return value


def _int(text: str) -> int:
    _double(text)
    return int(text)


def _check(value: Any, depth: int) -> None:
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= each <= "\udfff" for each in value):
            raise _Refused
    elif isinstance(value, list | dict):
        if depth == MAX_DEPTH:
            raise _Refused
        for each in value:
            _check(each, depth + 1)
        if isinstance(value, dict):
            for each in value.values():
                _check(each, depth + 1)


def _object(value: Any) -> dict[str, Any]:
    found = _object_or_none(value) if isinstance(value, str) else value
    if not isinstance(found, dict):
        raise _Refused
    return found


def _object_or_none(text: str) -> Any:
    try:
        return _read(text.encode())
    except _Refused:
        return None


def _first(holder: dict[str, Any], *names: str) -> Any:
    return next((holder[name] for name in names if name in holder), None)


def _text(value: Any) -> str | None:
    if not isinstance(value, str | None):
        raise _Refused
    return value


def _number(value: Any) -> int | float | None:
    if isinstance(value, str):
        if not NUMERIC.fullmatch(value):
            raise _Refused
        value = _double(value) if set(value) & set(".eE") else _int(value)
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        raise _Refused
    return value


def _whole(value: Any, low: int, high: int) -> int:
    found = _number(value)
    if found is None or found != int(found) or not low <= found <= high:
        raise _Refused
    return int(found)


def _weight(value: int | float | None) -> float:
    if value is None or not 0 <= value <= 1:
        raise _Refused
    return abs(round(float(value), 9))


def _specials(metadata: dict[str, Any]) -> dict[str, str]:
    found = {}
    for name in SPECIALS:
        value = metadata.get(name)
        if isinstance(value, list | dict):
            raise _Refused
        text = value if isinstance(value, str) else "" if value is None else _compact(value)
        if len(text) > MAX_SPECIAL_CHARS:
            raise _Refused
        if text:
            found[name] = text
    return found


def _compact(value: Any) -> str:
    """JSON without spaces, and exponents as ClickHouse writes them: none for 0.00001, else without a plus and zeros."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_compact(key)}:{_compact(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_compact, value)) + "]"
    text = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, float):
        return text
    text = re.sub(r"([1-9])\.?(\d*)e-05", r"0.0000\1\2", text)
    return re.sub(r"e\+?(-?)0*", r"e\1", text)


def _header(headers: dict[str, bytes], name: str) -> str | None:
    value = headers.get(name)
    if not value:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _header_metadata(headers: dict[str, bytes]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for member in (_header(headers, "baggage") or "").split(","):
        name, equals, value = member.partition(";")[0].partition("=")
        text = unquote(value.strip())
        if equals and name.strip() and "\0" not in text:
            found[name.strip()] = text
    text_of = _header(headers, "x-portkey-metadata")
    if text_of is not None:
        given = _read(text_of.encode())
        if not isinstance(given, dict):
            raise _Refused
        found |= given
    return found


def _traceparent(headers: dict[str, bytes]) -> tuple[str, str] | None:
    match = TRACEPARENT.fullmatch(headers.get("traceparent", b"").decode("latin-1"))
    if match is None or match[1] == "ff" or not match[2].strip("0") or not match[3].strip("0"):
        return None
    return match[2], match[3]


def _span(
    name: str, names: tuple[str, ...], item: dict[str, Any], metadata: dict[str, Any], headers: dict[str, bytes]
) -> str | None:
    if text := _text(_first(item, *names)):
        return text
    for each in names:
        value = metadata.get(each)
        if type(value) is int and name != "span_name":
            return str(value)
        if text := _text(value):
            return text
    return _header(headers, "x-portkey-" + name.replace("_", "-"))


def _tokens(body: Any) -> dict[str, int | None]:
    answered = _object_or_none(body) if isinstance(body, str) else body
    usage = answered.get("usage") if isinstance(answered, dict) else None
    usage = usage if isinstance(usage, dict) else {}

    def token_count(*names: str) -> int | None:
        for name in names:
            value = usage.get(name)
            if type(value) in (int, float) and value >= 0 and value == int(value):
                return int(value)
        return None

    counts = {
        "prompt_tokens": token_count("prompt_tokens", "input_tokens"),
        "completion_tokens": token_count("completion_tokens", "output_tokens"),
        "total_tokens": token_count("total_tokens"),
    }
    parts = [count for count in counts.values() if count is not None]
    if counts["total_tokens"] is None and parts:
        counts["total_tokens"] = sum(parts)
    if any(count is not None and count > 2**53 - 1 for count in counts.values()):
        raise _Refused
    return counts


def _time(value: Any) -> None:
    if value is None or value == "":
        return
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _Refused
    try:
        if isinstance(value, str) and not NUMERIC.fullmatch(value):
            at = datetime.fromisoformat(value.strip().upper())
            ms = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000
        else:
            number = float(value)
            ms = number * 1000 if abs(number) < 1e11 else number
    except (ValueError, OverflowError):
        raise _Refused from None
    if not 946_684_800_000 <= ms < 4_102_444_800_000:
        raise _Refused


def _identity(text: str) -> str:
    if re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        identity = UUID(text)
        if identity.version == 8:
            return str(identity)
    raise _Refused(404)
