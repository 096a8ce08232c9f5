"""A variable that looks like a setting and is none is refused by all that starts, with the nearest that is one."""

import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from dashboard.settings import DashboardSettings
from deploy import cli
from gateway.settings import GatewaySettings
from ingest_api.settings import Settings
from operations.retention import ORPHAN_SETTING, SETTINGS
from query_api.settings import QuerySettings
from runtime.known_settings import KNOWN, unknown_settings
from stream_workers.settings import RollupSettings, WorkerSettings
from tests.pipeline.forked import ended

ROOT = Path(__file__).parents[3]
CLASSES: list[type[BaseSettings]] = [
    Settings,
    QuerySettings,
    WorkerSettings,
    RollupSettings,
    DashboardSettings,
    GatewaySettings,
]
PROGRAMS = ["gateway", "ingest_api", "deploy.api", "stream_workers", "stream_workers.rollup.app"]


def test_the_list_is_that_of_all_settings_there_are() -> None:
    read = {f"FEEDBACK_{name}".upper() for each in CLASSES for name in each.model_fields}
    assert read | {each.name for each in SETTINGS} | {ORPHAN_SETTING} == KNOWN


def test_what_clients_read_is_no_mistake_where_programs_start() -> None:
    assert unknown_settings({"FEEDBACK_URL": "http://a", "FEEDBACK_API_KEY": "k"}) == []
    assert unknown_settings({"FEEDBACK_URI": "http://a"}) != []


@pytest.mark.parametrize("given", ["AGGREGATES", "FEEDBACK", "JOURNAL"])
def test_a_setting_that_took_traces_apart_is_refused_with_the_one_that_replaces_it(given: str) -> None:
    name = f"FEEDBACK_KEEP_{given}_DAYS"
    (sentence,) = unknown_settings({name: "30"})
    assert sentence.startswith(f"{name} is no longer a setting")
    assert "set FEEDBACK_KEEP_TRACES_DAYS" in sentence
    assert unknown_settings({name: ""}) == []


def test_what_the_document_the_compose_file_and_the_run_of_all_tests_name_is_known() -> None:
    text = "".join((ROOT / name).read_text() for name in ("docs/operations.md", "docker-compose.yml", ".ci/run"))
    named = set(re.findall(r"\bFEEDBACK_[A-Z_]+[A-Z]\b", text))
    assert unknown_settings(dict.fromkeys(named, "")) == []


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("FEEDBACK_KAFKA_BOOTSTRP", "FEEDBACK_KAFKA_BOOTSTRAP"),
        ("FEEDBACK_CLICKHOSE_URL", "FEEDBACK_CLICKHOUSE_URL"),
        ("FEEDBACK_REQUIRE_KEY", "FEEDBACK_REQUIRE_KEYS"),
        ("FEEDBACK_MAX_BULKS", "FEEDBACK_MAX_BULK"),
        ("feedback_prot", "FEEDBACK_PORT"),
        ("FEEDBACK_KEEP_TRACE_DAYS", "FEEDBACK_KEEP_TRACES_DAYS"),
        ("FEEDBAK_KAFKA_BOOTSTRAP", "FEEDBACK_KAFKA_BOOTSTRAP"),
    ],
)
def test_the_nearest_right_name_is_told(given: str, meant: str) -> None:
    (sentence,) = unknown_settings({given: "x", "PATH": "/bin"})
    assert sentence.startswith(f"{given} is not a setting")
    assert f"did you mean {meant}?" in sentence


def test_what_is_near_to_none_is_refused_as_well() -> None:
    (sentence,) = unknown_settings({"FEEDBACK_XYZZY": "1"})
    assert sentence == "FEEDBACK_XYZZY is not a setting of this version: docs/operations.md lists what there is."


def test_what_others_add_is_left_alone() -> None:
    links = {
        "FEEDBACK_SERVICE_HOST": "10.0.0.1",
        "FEEDBACK_SERVICE_PORT": "8787",
        "FEEDBACK_SERVICE_PORT_HTTP": "8787",
        "FEEDBACK_PORT_8787_TCP": "tcp://10.0.0.1:8787",
        "FEEDBACK_API_PORT": "tcp://10.0.0.1:8787",
        "FEEDBACK_API_PORT_8787_TCP_ADDR": "10.0.0.1",
    }
    assert unknown_settings({**links, "FEEDS": "1", "feedback_port": "8787", "FEEDBACK_PORT": "8787"}) == []


@pytest.mark.parametrize("module", PROGRAMS)
def test_no_program_starts_with_one(module: str, tmp_path: Path) -> None:
    environment = {"FEEDBACK_KAFKA_BOOTSTRP": "kafka:9092", "PATH": ""}
    code, told = ended(module, log=tmp_path / "log", environment=environment)
    assert code == 2
    assert told.endswith(
        "FEEDBACK_KAFKA_BOOTSTRP is not a setting of this version: did you mean FEEDBACK_KAFKA_BOOTSTRAP?\n"
    )
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    "command",
    [
        ["up"],
        ["migrate"],
        ["topics"],
        ["api"],
        ["edge"],
        ["dashboard"],
        ["worker"],
        ["rollup"],
        ["audit"],
        ["orphans"],
        ["keys", "list"],
    ],
    ids=lambda command: command[0],
)
def test_no_command_runs_with_one(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FEEDBACK_KEEP_FEEDBACK_DAY", "30")
    assert cli.main(command) == 2
    assert "FEEDBACK_KEEP_FEEDBACK_DAY is not a setting" in capsys.readouterr().err


def test_a_setting_that_is_not_text_is_named() -> None:
    assert unknown_settings({"FEEDBACK_CONSUMER_GROUP": "\udcff"}) == [
        "FEEDBACK_CONSUMER_GROUP must be UTF-8 text, got '\\udcff'."
    ]
