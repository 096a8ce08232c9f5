"""Every setting that is a list is read alike: a comma at its end does no harm, and an empty part within is refused."""

import pytest
from pydantic_settings import BaseSettings

from dashboard.settings import DashboardSettings
from gateway.settings import GatewaySettings
from ingest_api.settings import Settings
from runtime.settings_errors import SettingsError, load
from stream_workers.settings import WorkerSettings

LISTS: list[tuple[type[BaseSettings], str, str]] = [
    (Settings, "allowed_hosts", "a.example"),
    (Settings, "browser_origins", "https://a.example"),
    (Settings, "environments", "live"),
    (Settings, "keep_headers", "x-team"),
    (Settings, "keep_url_parameters", "page"),
    (GatewaySettings, "gateway_allowed_upstreams", "https://a.example/v1"),
    (GatewaySettings, "allowed_hosts", "a.example"),
    (GatewaySettings, "keep_headers", "x-team"),
    (DashboardSettings, "allowed_hosts", "a.example"),
    (WorkerSettings, "allowed_hosts", "a.example"),
]


@pytest.mark.parametrize(("settings", "name", "part"), LISTS)
def test_a_comma_at_the_end_of_a_list_adds_no_part(
    monkeypatch: pytest.MonkeyPatch, settings: type[BaseSettings], name: str, part: str
) -> None:
    variable = f"FEEDBACK_{name}".upper()
    monkeypatch.setenv(variable, part)
    alone = getattr(load(settings), name)
    assert len(alone) == 1
    monkeypatch.setenv(variable, f" {part} , ")
    assert getattr(load(settings), name) == alone


@pytest.mark.parametrize(("settings", "name", "part"), LISTS)
def test_an_empty_part_within_a_list_is_refused_by_the_name_of_the_setting(
    monkeypatch: pytest.MonkeyPatch, settings: type[BaseSettings], name: str, part: str
) -> None:
    variable = f"FEEDBACK_{name}".upper()
    monkeypatch.setenv(variable, f"{part},,{part}")
    with pytest.raises(SettingsError, match=variable):
        load(settings)
