"""What docker-compose.yml promises, as far as it can be told without a Docker engine.

Commands are asked of the real parser, variables of the real settings, and the edge's health check is run. What the
engines say to their configuration is in test_compose_engines.py.
"""

import os
import re
import shlex
import subprocess
import sys
import threading
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from pydantic_settings import BaseSettings

from deploy.command_line import parser
from gateway.settings import GatewaySettings
from ingest_api.app import create_app
from ingest_api.settings import Settings
from operations.retention import SETTINGS as POLICIES
from operations.retention import TRACES_SETTING
from query_api.settings import QuerySettings
from stream_workers.settings import RollupSettings, WorkerSettings

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docker-compose.yml"
XML = ROOT / "deploy/docker/clickhouse/feedback.xml"
SETTINGS: dict[str, list[type[BaseSettings]]] = {
    "edge": [Settings, QuerySettings],
    "worker": [WorkerSettings],
    "rollup": [RollupSettings],
    "gateway": [GatewaySettings],
}
OF_THE_CLIENT = {"gateway": {"FEEDBACK_URL", "FEEDBACK_API_KEY"}}
LONG_RUNNING = ("kafka", "clickhouse", "edge", "worker", "rollup", "gateway")
OF_ENGINES = ("setup", "edge", "worker", "rollup", "expire")
OURS = (*OF_ENGINES, "gateway")
PASSWORD = {"CLICKHOUSE_PASSWORD": "s3cret"}

_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?::(?P<how>[-?])(?P<word>[^{}]*))?\})")


def filled_in(value: Any, environment: dict[str, str]) -> Any:
    """The value with its ${NAME}, ${NAME:-default} and ${NAME:?message} replaced. KeyError for the last, if unset."""
    if isinstance(value, dict):
        return {key: filled_in(each, environment) for key, each in value.items()}
    if isinstance(value, list):
        return [filled_in(each, environment) for each in value]
    if not isinstance(value, str):
        return value

    def replaced(match: re.Match[str]) -> str:
        if match["name"] is None:
            return "$"
        given = environment.get(match["name"], "")
        if not given and match["how"] == "?":
            raise KeyError(match["name"])
        return given or (match["word"] or "")

    # A default may hold another one, which is replaced first.
    while (filled := _VARIABLE.sub(replaced, value)) != value:
        value = filled
    return value


def services(**environment: str) -> dict[str, Any]:
    loaded = yaml.safe_load(FILE.read_text())
    found: dict[str, Any] = filled_in(loaded["services"], PASSWORD | environment)
    return found


@pytest.mark.skipif(
    subprocess.run("docker compose version", shell=True, capture_output=True).returncode != 0,
    reason="needs the docker compose plugin",
)
def test_docker_compose_accepts_the_file() -> None:
    run = subprocess.run(
        ["docker", "compose", "-f", str(FILE), "config", "-q"],
        env=os.environ | PASSWORD,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr


def test_an_export_is_downloaded_from_the_port_that_is_published() -> None:
    for given, address in (({}, "http://127.0.0.1:8787"), ({"EDGE_PORT": "80"}, "http://127.0.0.1:80")):
        assert (
            QuerySettings(public_url=services(**given)["edge"]["environment"]["FEEDBACK_PUBLIC_URL"]).address == address
        )
    assert (
        services(FEEDBACK_PUBLIC_URL="https://f.example")["edge"]["environment"]["FEEDBACK_PUBLIC_URL"]
        == "https://f.example"
    )


def test_each_key_of_a_service_is_one_that_compose_has() -> None:
    known = {"build", "image", "platform", "entrypoint", "command", "environment", "depends_on", "deploy", "restart"}
    known |= {"healthcheck", "stop_grace_period", "init", "logging", "ports", "volumes", "tmpfs", "read_only"}
    known |= {"user", "cap_drop", "security_opt", "ulimits", "profiles"}
    checked = {"test", "interval", "timeout", "retries", "start_period", "start_interval"}
    for name, service in services().items():
        assert set(service) <= known, name
        assert set(service.get("healthcheck", ())) <= checked, name
    assert "version" not in yaml.safe_load(FILE.read_text())


def test_each_command_is_one_that_the_command_line_takes() -> None:
    commands = parser()
    for name in ("edge", "worker", "rollup", "expire", "gateway"):
        assert "entrypoint" not in services()[name], "the image's entry point is `feedback`"
        commands.parse_args(services()[name]["command"])
    setup = services()["setup"]
    assert setup["entrypoint"] == ["/bin/sh", "-ec"]
    (line,) = setup["command"]
    done = []
    for part in line.split("&&"):
        program, *arguments = shlex.split(part)
        assert program == "feedback"
        commands.parse_args(arguments)
        done.append(arguments[0])
    assert done == ["topics", "migrate", "keys"]


def variables_of(service: str) -> set[str]:
    return {
        f"{settings.model_config['env_prefix']}{name}".upper()
        for settings in SETTINGS[service]
        for name in settings.model_fields
    }


@pytest.mark.parametrize("service", SETTINGS)
def test_every_setting_of_a_program_can_be_given_and_no_other_is(service: str) -> None:
    assert set(services()[service]["environment"]) == variables_of(service) | OF_THE_CLIENT.get(service, set())


@pytest.mark.parametrize("service", SETTINGS)
def test_the_program_accepts_the_settings_that_it_gets(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {name: value for name, value in services()[service]["environment"].items() if value is not None}
    for name in variables_of(service):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    for settings in (each() for each in SETTINGS[service]):
        for name, value in given.items():
            field = name.removeprefix("FEEDBACK_").lower()
            if field in type(settings).model_fields:
                taken = getattr(settings, field)
                assert (",".join(taken) if isinstance(taken, tuple) else str(taken)) == value


def test_the_setup_job_is_told_where_the_engines_are(monkeypatch: pytest.MonkeyPatch) -> None:
    policies = {"FEEDBACK_ORPHAN_AFTER_HOURS", *(each.name for each in POLICIES)} - {TRACES_SETTING}
    environment = services()["setup"]["environment"]
    assert policies <= environment.keys()
    for name, value in environment.items():
        if name in policies or name.startswith("FEEDBACK_KEEP"):
            continue
        monkeypatch.setenv(name, value)
        options = [vars(parser().parse_args([command])) for command in ("topics", "migrate")]
        assert any(value in each.values() for each in options), (
            f"{name} tells nothing to `feedback topics` or `migrate`"
        )


def test_every_image_is_pinned() -> None:
    for name, service in services().items():
        _, _, tag = service["image"].rpartition(":")
        assert re.match(r"\d+\.\d+\.\d+", tag), f"{name}: {service['image']}"
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {services()[name]["image"] for name in OURS} == {f"feedback-api:{ours}"}


def test_kafka_is_of_the_version_that_the_local_broker_has() -> None:
    pom = ET.parse(ROOT / "deploy/kafka/pom.xml")
    space = {"m": "http://maven.apache.org/POM/4.0.0"}
    assert services()["kafka"]["image"] == f"apache/kafka:{pom.findtext('.//m:dependency/m:version', '', space)}"


def test_what_runs_for_long_is_watched_bounded_and_started_again() -> None:
    for name in LONG_RUNNING:
        service = services()[name]
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"], name
        assert service["stop_grace_period"], name
    for name, service in services().items():
        assert re.fullmatch(r"\d+[mg]", service["deploy"]["resources"]["limits"]["memory"]), name
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, name
    assert set(services()) == {*LONG_RUNNING, "setup", "expire"}
    assert services()["expire"]["restart"] == "unless-stopped"
    assert TRACES_SETTING in services()["expire"]["environment"]
    assert services()["setup"]["restart"] == "no"


def test_workers_can_be_scaled() -> None:
    assert services()["worker"]["deploy"]["replicas"] == "2"
    assert services(WORKERS="5")["worker"]["deploy"]["replicas"] == "5"
    assert "container_name" not in FILE.read_text()
    assert "ports" not in services()["worker"]


def test_edge_and_workers_wait_for_setup_and_setup_for_healthy_engines() -> None:
    waits = {name: service.get("depends_on") for name, service in services().items()}
    healthy = {"condition": "service_healthy"}
    assert waits["setup"] == {"kafka": healthy, "clickhouse": healthy}
    assert waits["edge"] == waits["worker"] == {"setup": {"condition": "service_completed_successfully"}}


def test_every_published_port_is_open_to_this_machine_only() -> None:
    published = {port for service in services().values() for port in service.get("ports", ())}
    assert published == {"127.0.0.1:8787:8787", "127.0.0.1:9092:9092", "127.0.0.1:8123:8123", "127.0.0.1:8789:8789"}
    given = {"EDGE_PORT": "80", "KAFKA_PORT": "1092", "CLICKHOUSE_PORT": "1123", "GATEWAY_PORT": "81"}
    elsewhere = services(EDGE_ADDRESS="0.0.0.0", **given)
    moved = {port for service in elsewhere.values() for port in service.get("ports", ())}
    assert moved == {"0.0.0.0:80:8787", "127.0.0.1:1092:9092", "127.0.0.1:1123:8123", "127.0.0.1:81:8789"}


def test_no_service_runs_as_root() -> None:
    assert services()["clickhouse"]["user"] == "101:101"  # what this image's server changes to when started as root
    for name, service in services().items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        assert not re.match(r"(0|root)\b", service.get("user", "")), name
    for name in OURS:  # the image's own user: tests/unit/deploy/test_dockerfile.py
        assert services()[name]["cap_drop"] == ["ALL"]
        assert services()[name]["read_only"] is True


def test_there_is_no_password_that_everybody_knows() -> None:
    with pytest.raises(KeyError, match="CLICKHOUSE_PASSWORD"):
        filled_in(yaml.safe_load(FILE.read_text()), {})
    assert "CLICKHOUSE_PASSWORD:-" not in FILE.read_text()


def test_kafka_sends_each_client_on_to_an_address_that_it_can_reach() -> None:
    found = services(KAFKA_PORT="19999")
    kafka = found["kafka"]["environment"]
    listeners, advertised = (
        {name: address.rpartition(":") for name, address in (each.split("://") for each in kafka[key].split(","))}
        for key in ("KAFKA_LISTENERS", "KAFKA_ADVERTISED_LISTENERS")
    )
    assert set(listeners) == {"INSIDE", "OUTSIDE", "CONTROLLER"}
    assert advertised["INSIDE"] == ("kafka", ":", listeners["INSIDE"][2])
    assert {found[name]["environment"]["FEEDBACK_KAFKA_BOOTSTRAP"] for name in OF_ENGINES} == {
        "".join(advertised["INSIDE"])
    }
    assert "--bootstrap-server " + "".join(advertised["INSIDE"]) in found["kafka"]["healthcheck"]["test"][1]
    assert found["kafka"]["ports"] == ["".join(advertised["OUTSIDE"]) + ":" + listeners["OUTSIDE"][2]]
    assert advertised["OUTSIDE"][0] == "127.0.0.1"


def test_clickhouse_is_asked_where_it_is_and_as_who_it_knows() -> None:
    found = services(CLICKHOUSE_USER="someone")
    clickhouse = found["clickhouse"]["environment"]
    for name in ("setup", "worker"):
        url = urlsplit(found[name]["environment"]["FEEDBACK_CLICKHOUSE_URL"])
        assert (url.hostname, url.port) == ("clickhouse", 8123)
        assert (url.username, url.password) == (clickhouse["CLICKHOUSE_USER"], clickhouse["CLICKHOUSE_PASSWORD"])
    assert (url.username, url.password) == ("someone", "s3cret")
    assert found["clickhouse"]["healthcheck"]["test"][-1] == "http://127.0.0.1:8123/ping"


def test_what_is_stored_outlives_its_container_and_what_is_mounted_is_there() -> None:
    mounts = [each.split(":") for name in ("kafka", "clickhouse", "edge") for each in services()[name]["volumes"]]
    assert [each[:2] for each in mounts if each[0].isalpha()] == [
        ["kafka", services()["kafka"]["environment"]["KAFKA_LOG_DIRS"]],
        ["clickhouse", "/var/lib/clickhouse"],
        ["exports", services()["edge"]["environment"]["FEEDBACK_EXPORT_DIR"]],
    ]
    assert set(yaml.safe_load(FILE.read_text())["volumes"]) == {"kafka", "clickhouse", "exports"}
    (file,) = [each for each in mounts if each[0].startswith(".")]
    assert (ROOT / file[0]).resolve() == XML
    assert file[1:] == ["/etc/clickhouse-server/config.d/feedback.xml", "ro"]


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server on a free port that answers everything with this status, and 404 where it is not asked for /readyz."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_the_edge_says_whether_it_is_ready() -> None:
    assert "/readyz" in {getattr(route, "path", "") for route in create_app(Settings()).routes}


@pytest.mark.parametrize(("service", "its_port"), [("edge", "8787"), ("gateway", "9464")])
def test_a_service_is_healthy_exactly_while_it_says_that_it_is_ready(service: str, its_port: str) -> None:
    test = services()[service]["healthcheck"]["test"]
    assert test[:3] == ["CMD", "python", "-c"]
    assert test[3].count(its_port) == 1

    def healthy(port: int) -> bool:
        script = test[3].replace(its_port, str(port))
        return subprocess.run([sys.executable, "-c", script], stderr=subprocess.DEVNULL).returncode == 0

    with answering(200) as port:
        assert healthy(port)
    assert not healthy(port)
    with answering(503) as port:
        assert not healthy(port)
