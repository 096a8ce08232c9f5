"""Runs the gateway: `python -m gateway`. SIGTERM stops accepting, ends the calls that pass, sends their logs."""

import logging
import resource
import sys
from logging.config import dictConfig

from feedback_client import Client
from gateway.app import GatewayApp
from gateway.call_record import HeldBytes
from gateway.log_queue import LogQueue
from gateway.loop_health import LoopHealth
from gateway.protocol import GatewayProtocol
from gateway.request_log import LogRules
from gateway.settings import GatewaySettings
from runtime import gateway_metrics as metrics
from runtime.harmless_names import harmless_with
from runtime.health_server import serve_health
from runtime.http_server import exit_on_signals, serve_http
from runtime.idle_clients import Connections
from runtime.listen_addresses import cannot_listen, listen_failure
from runtime.log_setup import config, log_uncaught_errors
from runtime.metrics_registry import registry_of
from runtime.settings_errors import load_or_print

_CALLS_END_WITHIN_S = 30
# A thread that writes logs lets the event loop go on after this time, and not after Python's 5 ms.
_SWITCH_INTERVAL_S = 0.0005

log = logging.getLogger("gateway")


def main() -> int:
    """Serve until a signal; the exit code: 2 if a setting is faulty or an address is taken, 1 if it ended by itself."""
    settings = load_or_print(GatewaySettings, "feedback gateway")
    if settings is None:
        return 2
    if settings.upstream is None and not settings.allowed:
        return _refused(
            "FEEDBACK_GATEWAY_UPSTREAM (or --upstream) must name where calls go, as in https://api.openai.com."
        )
    if fault := cannot_listen(settings.gateway_host, settings.gateway_port):
        return _refused(f"FEEDBACK_GATEWAY_PORT: {fault}: free it, or give another.")
    try:
        client = Client()
    except ValueError as fault:
        return _refused(f"{fault}.")
    dictConfig(config(settings.log_format, gateway=logging.INFO))
    log_uncaught_errors()
    health = LoopHealth()
    app = _app(settings, client, health)
    if settings.metrics_port:
        try:
            serve_health(
                settings.metrics_host,
                settings.metrics_port,
                registry_of("gateway"),
                health.liveness,
                health.readiness,
                settings.allowed_hosts,
            )
        except OSError as error:
            place = listen_failure(settings.metrics_host, settings.metrics_port, error)
            return _refused(f"FEEDBACK_METRICS_PORT: {place}: give another, or 0 for none.")
    exit_on_signals()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    _allow_many_connections()
    log.info("Feedback gateway at %s, to %s.", settings.address, settings.places)
    return _serve(app, settings)


def _app(settings: GatewaySettings, client: Client, health: LoopHealth) -> GatewayApp:
    held = HeldBytes(settings.gateway_max_held_bytes)
    rules = LogRules(settings.logged_body_bytes, harmless_with(settings.keep_headers, settings.keep_url_parameters))
    logs = LogQueue(client, rules)
    app = GatewayApp(settings, logs, held, health.watch)
    metrics.GATEWAY_LOGS.set_callback(lambda: logs.counts)
    metrics.GATEWAY_OPEN_CALLS.set_callback(lambda: {(): app.open_calls})
    metrics.GATEWAY_HELD_BYTES.set_callback(lambda: {(): held.held})
    return app


def _serve(app: GatewayApp, settings: GatewaySettings) -> int:
    # A caller may be as slow as an upstream: large bodies come over slow lines.
    connections = Connections(settings.max_connections, settings.gateway_timeout_s, GatewayProtocol)
    return serve_http(
        app,
        settings.gateway_host,
        settings.gateway_port,
        connections,
        stop_within_s=_CALLS_END_WITHIN_S,
        date_header=False,  # the answers of upstreams have theirs
    )


def _allow_many_connections() -> None:
    """Let the process open as many files as it may: a call that passes is two connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _refused(sentence: str) -> int:
    print(f"feedback gateway: {sentence}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
