"""The gateway as an ASGI app, without a framework: every path and method passes."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import aiohttp

from gateway.call_record import CallOutcome, CallRecord, HeldBytes
from gateway.call_trace import trace_of
from gateway.forward import Call, Receive, Scope, Send, refuse
from gateway.header_bytes import write_byte_for_byte
from gateway.log_queue import LogQueue
from gateway.request_log import PROVIDER, provider_of
from gateway.settings import GatewaySettings
from gateway.upstreams import CUSTOM_HOST, Upstream, select_upstream
from runtime.background_tasks import BackgroundTask
from runtime.gateway_metrics import GATEWAY_CALL_SECONDS
from runtime.http_errors import ApiError
from runtime.request_origin import refusal

_CONNECTS_WITHIN_S = 10.0
# Many servers close an idle connection after 5 seconds. A call sent at that moment would fail.
_KEEPS_IDLE_S = 4.0
_LONGEST_LINE = 65_536
_LOGS_SENT_WITHIN_S = 5.0
# Neither has a path: one asks for a tunnel, the other for its own headers, with credentials.
_NO_CALLS = ("CONNECT", "TRACE")


class GatewayApp:
    """Passes calls on. `logs` logs them, `held` bounds what is kept for that, `watch` runs for the app's life."""

    def __init__(
        self, settings: GatewaySettings, logs: LogQueue, held: HeldBytes, watch: Callable[[], Awaitable[None]]
    ) -> None:
        self.open_calls = 0
        self._settings = settings
        self._upstream, self._allowed = settings.upstream, settings.allowed
        self._hosts = frozenset((*settings.allowed_hosts, settings.gateway_host.lower()))
        self._logs, self._held = logs, held
        self._watch = watch
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one call on, or run the lifespan."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._pass(scope, receive, send)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        # Of a header that comes twice the first counts.
        headers = dict(reversed(scope["headers"]))
        trace = trace_of(headers)
        outcome = CallOutcome.REFUSED
        self.open_calls += 1
        try:
            upstream = self._upstream_of(scope, headers)
            url = upstream.url_of(scope["raw_path"], scope["query_string"])
            record = CallRecord(
                scope["method"],
                url,
                provider_of(upstream.host, headers.get(PROVIDER)),
                trace,
                scope["headers"],
                self._held,
                self._settings.logged_body_bytes,
            )
            outcome = await self._logged(Call(scope, receive, send, record, str(upstream)), record)
        except ApiError as error:
            await refuse(send, error, trace.trace_id)
        finally:
            self.open_calls -= 1
            GATEWAY_CALL_SECONDS.observe(time.perf_counter() - began, outcome.value)

    async def _logged(self, call: Call, record: CallRecord) -> CallOutcome:
        assert self._session is not None
        try:
            outcome = await call.run(self._session)
        except BaseException:
            record.release()
            raise
        self._logs.put(record)
        return outcome

    def _upstream_of(self, scope: Scope, headers: dict[bytes, bytes]) -> Upstream:
        """Where a call goes. ApiError where it goes nowhere."""
        if refused := refusal(
            scope["headers"], scheme=scope["scheme"], http_version=scope["http_version"], allowed=self._hosts
        ):
            raise refused
        if scope["method"] in _NO_CALLS:
            raise ApiError(f"{scope['method']} does not pass this gateway", status=405)
        return select_upstream(self._upstream, self._allowed, headers.get(CUSTOM_HOST))

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        watching = BackgroundTask("watching the event loop", self._watched)
        watching.start()
        self._session = _session(self._settings)
        self._logs.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await watching.stop()
        await self._session.close()
        await asyncio.to_thread(self._logs.stop, _LOGS_SENT_WITHIN_S)
        await send({"type": "lifespan.shutdown.complete"})

    async def _watched(self) -> None:
        await self._watch()


def _session(settings: GatewaySettings) -> aiohttp.ClientSession:
    """The HTTP client. It adds nothing to a call, follows nothing, and keeps no cookie for the next caller."""
    write_byte_for_byte()
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPS_IDLE_S),
        timeout=aiohttp.ClientTimeout(
            total=None, connect=None, sock_connect=_CONNECTS_WITHIN_S, sock_read=settings.gateway_timeout_s
        ),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
        max_line_size=_LONGEST_LINE,
        max_field_size=_LONGEST_LINE,
    )
