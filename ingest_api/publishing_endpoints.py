"""The publishing endpoints of the edge: what each call publishes, and under which path, method and scope it is made."""

from collections.abc import Callable, Mapping

from starlette.routing import Route

from ingest_api.access.access_control import AccessControl
from ingest_api.access.idempotency import IdempotencyKeyCache
from ingest_api.http.body_room import BodyRoom
from ingest_api.http.dialects import Decide, Dialect, DialectOf
from ingest_api.http.edge_app import ONE_FEEDBACK, ByMethod, EdgeApp, id_in
from ingest_api.http.publish_endpoint import PublishingEndpoint
from ingest_api.http.telemetry import EndpointTelemetry
from ingest_api.kafka.publisher import Publisher
from ingest_api.otlp_dialects import OtlpDialects
from ingest_api.records import Accepted
from ingest_api.settings import Settings
from ingest_api.validation import feedback, request_log
from ingest_api.validation.feedback import CallContext
from ingest_api.validation.json_limits import dump
from runtime.api_key_authentication import Caller
from schemas.key_scopes import Scope

_FEEDBACK, _LOGS, _TRACES, _ONE = "/v1/feedback", "/v1/logs", "/v1/traces", ONE_FEEDBACK + "{feedback_id}"


class PublishingCalls:
    """Decides what each publishing call publishes. `now_ms` is the clock, in Unix milliseconds."""

    def __init__(self, settings: Settings, now_ms: Callable[[], int]) -> None:
        self._limits = settings.limits
        self.otlp = OtlpDialects(settings, self._context)
        self._idempotency_keys = IdempotencyKeyCache(settings.idempotency_entries)
        self._now_ms = now_ms

    def create(self, _: str, headers: Mapping[bytes, bytes], body: bytes, caller: Caller) -> Accepted:
        """The events of `POST /v1/feedback`."""
        return self._claimed(feedback.create(body, headers, self._context(caller), self._limits))

    def update(self, path: str, _: Mapping[bytes, bytes], body: bytes, caller: Caller) -> Accepted:
        """The event of `PUT /v1/feedback/{feedback_id}`."""
        return feedback.update(id_in(path), body, self._context(caller), self._limits)

    def delete(self, path: str, _: Mapping[bytes, bytes], __: bytes, caller: Caller) -> Accepted:
        """The event of `DELETE /v1/feedback/{feedback_id}`."""
        return feedback.delete(id_in(path), self._context(caller))

    def log(self, _: str, headers: Mapping[bytes, bytes], body: bytes, caller: Caller) -> Accepted:
        """The events of `POST /v1/logs`."""
        return self._claimed(request_log.log(body, headers, self._context(caller), self._limits))

    def _context(self, caller: Caller) -> CallContext:
        return CallContext(caller.workspace, self._now_ms())

    def _claimed(self, accepted: Accepted) -> Accepted:
        if accepted.claim is not None:
            self._idempotency_keys.take(accepted.claim)
        return accepted


def add_publishing_endpoints(
    app: EdgeApp,
    settings: Settings,
    publisher: Publisher,
    access_control: Callable[[Scope], AccessControl],
    calls: PublishingCalls,
    room: BodyRoom,
) -> None:
    """Add the publishing endpoints to an app, for its direct calls and as routes."""

    def dialect_endpoint(telemetry: EndpointTelemetry, dialect_of: DialectOf, scope: Scope) -> PublishingEndpoint:
        return PublishingEndpoint(
            publisher, access_control(scope), settings.max_body_bytes, dialect_of, telemetry, room
        )

    def endpoint(telemetry: EndpointTelemetry, decide: Decide, message: str) -> PublishingEndpoint:
        dialect = Dialect(decide, answer_of(message, "feedback_ids"))
        return dialect_endpoint(telemetry, lambda _: dialect, "feedback.write")

    created, logged = EndpointTelemetry("POST", _FEEDBACK, "create"), EndpointTelemetry("POST", _LOGS, "request")
    updated, deleted = EndpointTelemetry("PUT", _ONE, "update"), EndpointTelemetry("DELETE", _ONE, "delete")
    feedback_calls = ByMethod(POST=endpoint(created, calls.create, "Feedback successfully saved"))
    exported = EndpointTelemetry("POST", _TRACES, "request")
    plain_logs = Dialect(calls.log, answer_of("Logs successfully saved", "ids"))
    log_calls = ByMethod(POST=dialect_endpoint(logged, calls.otlp.or_of_logs(plain_logs), "logs.write"))
    app.publishing = {
        _FEEDBACK: feedback_calls,
        f"{_FEEDBACK}/": feedback_calls,
        _LOGS: log_calls,
        f"{_LOGS}/": log_calls,
        _TRACES: ByMethod(POST=dialect_endpoint(exported, calls.otlp.of_spans, "logs.write")),
    }
    app.one_feedback = ByMethod(
        PUT=endpoint(updated, calls.update, "Feedback successfully updated"),
        DELETE=endpoint(deleted, calls.delete, "Feedback successfully deleted"),
    )
    for path, endpoints in (app.publishing | {_ONE: app.one_feedback}).items():
        app.router.routes.append(Route(path, endpoints, methods=list(endpoints.by_method)))


def answer_of(message: str, ids: str) -> Callable[[Accepted], bytes]:
    """Makes the body of a 200: its message, and the ids under this name."""
    opening = dump({"status": "success", "message": message})[:-1] + f',"{ids}":'.encode()

    def reply(accepted: Accepted) -> bytes:
        if not accepted.trace_ids:
            return opening + dump(accepted.ids) + b"}"
        return opening + dump(accepted.ids) + b',"trace_ids":' + dump(accepted.trace_ids) + b"}"

    return reply
