"""The edge's settings: usable defaults, and one sentence per fault that names the variable."""

import pytest

from ingest_api.settings import Settings
from runtime.harmless_names import HarmlessNames
from runtime.settings_errors import SettingsError, load


def faults(monkeypatch: pytest.MonkeyPatch, **variables: str) -> list[str]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load(Settings)
    return str(caught.value).splitlines()


def test_an_empty_environment_gives_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"FEEDBACK_{name.upper()}", raising=False)
    settings = load(Settings)
    assert (settings.host, settings.port, settings.kafka_bootstrap) == ("127.0.0.1", 8787, "127.0.0.1:9092")
    assert settings.kafka_idempotence
    assert settings.limits.environments == {"production", "staging", "development", "test"}


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEEDBACK_KAFKA_BOOTSTRAP", "a.example:9092, [::1]:9093")
    monkeypatch.setenv("FEEDBACK_ENVIRONMENTS", "live, canary")
    monkeypatch.setenv("FEEDBACK_KAFKA_IDEMPOTENCE", "false")
    monkeypatch.setenv("FEEDBACK_KEEP_HEADERS", "X-Team, x_job")
    monkeypatch.setenv("FEEDBACK_KEEP_URL_PARAMETERS", "Tier")
    settings = load(Settings)
    assert settings.kafka_bootstrap == "a.example:9092,[::1]:9093"
    assert settings.limits.environments == {"live", "canary"}
    assert settings.limits.harmless == HarmlessNames(frozenset({"x-team", "x-job"}), frozenset({"tier"}))
    assert not settings.kafka_idempotence


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FEEDBACK_PORT", "http"),
        ("FEEDBACK_PORT", "0"),
        ("FEEDBACK_PORT", "65536"),
        ("FEEDBACK_HOST", ""),
        ("FEEDBACK_KAFKA_BOOTSTRAP", "localhost"),
        ("FEEDBACK_KAFKA_BOOTSTRAP", "localhost:99999"),
        ("FEEDBACK_KAFKA_BOOTSTRAP", "http://localhost:9092"),
        ("FEEDBACK_KAFKA_BOOTSTRAP", "a:1,,b:2"),
        ("FEEDBACK_KAFKA_IDEMPOTENCE", "perhaps"),
        ("FEEDBACK_MAX_BODY_BYTES", "8000000"),
        ("FEEDBACK_MAX_TRACE_ID_CHARS", "4097"),
        ("FEEDBACK_MAX_METADATA_BYTES", "1"),
        ("FEEDBACK_MAX_BULK", "0"),
        ("FEEDBACK_ENVIRONMENTS", "a,,b"),
        ("FEEDBACK_ENVIRONMENTS", "two words"),
        ("FEEDBACK_ENVIRONMENTS", ",".join(f"e{n}" for n in range(51))),
        ("FEEDBACK_KEEP_HEADERS", "x-team,,x-job"),
        ("FEEDBACK_KEEP_HEADERS", "*"),
        ("FEEDBACK_KEEP_HEADERS", "x-team: a"),
        ("FEEDBACK_KEEP_URL_PARAMETERS", "a&b"),
        ("FEEDBACK_PRODUCE_TIMEOUT_S", "0"),
        ("FEEDBACK_PRODUCE_TIMEOUT_S", "nan"),
        ("FEEDBACK_MAX_IN_FLIGHT_BYTES", "1"),
        ("FEEDBACK_MAX_HELD_BODY_BYTES", "1"),
        ("FEEDBACK_LINGER_MS", "-1"),
    ],
)
def test_a_faulty_variable_is_told_by_name_and_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    (sentence,) = faults(monkeypatch, **{variable: value})
    assert sentence.startswith(f"{variable} must ")
    assert value in sentence


def test_every_fault_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(faults(monkeypatch, FEEDBACK_PORT="x", FEEDBACK_MAX_BULK="y")) == 2
