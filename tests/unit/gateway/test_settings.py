"""The gateway says at its start what cannot be, each in one sentence that names the variable."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.settings import GatewaySettings
from tests.pipeline.forked import ended


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"gateway_upstream": "api.openai.com"}, "must start with http"),
        ({"gateway_upstream": "https://me:secret@api.openai.com"}, "callers send their own credentials"),
        ({"gateway_allowed_upstreams": "https://a.example, b.example"}, "must start with http"),
        ({"gateway_upstream": "http://127.0.0.1:8789/v1"}, "is the gateway itself"),
        ({"gateway_upstream": "http://localhost:9000", "gateway_port": 9000}, "is the gateway itself"),
        ({"gateway_allowed_upstreams": "http://127.0.0.1:8789"}, "is the gateway itself"),
        ({"gateway_timeout_s": 0}, "greater than 0"),
        ({"gateway_max_held_bytes": 10}, "greater than or equal"),
        ({"keep_headers": "a b"}, "up to 200 names"),
        ({"allowed_hosts": "https://a"}, "must be host names"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        GatewaySettings.model_validate(settings)


def test_lists_are_separated_by_commas() -> None:
    given = {"gateway_allowed_upstreams": "https://a.example/v1, http://b.example:8080,", "keep_headers": "X-A,b"}
    settings = GatewaySettings.model_validate(given)
    assert settings.places == "https://a.example/v1, http://b.example:8080"
    assert settings.keep_headers == ("X-A", "b")


def test_what_is_logged_of_a_body_fits_into_a_log() -> None:
    assert GatewaySettings.model_validate({"max_logged_body_bytes": 5_000_000}).logged_body_bytes == 2_000_000


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "FEEDBACK_GATEWAY_UPSTREAM (or --upstream) must name where calls go"),
        (
            {"FEEDBACK_GATEWAY_UPSTREAM": "https://u:secret@h"},
            "FEEDBACK_GATEWAY_UPSTREAM must hold no user or password",
        ),
        ({"FEEDBACK_GATEWAY_UPSTREAM": "http://localhost:8789"}, "FEEDBACK_GATEWAY_UPSTREAM must name another server"),
        ({"FEEDBACK_GATEWAY_UPSTREAM": "https://h", "FEEDBACK_URL": "nowhere"}, "(FEEDBACK_URL) must begin with http"),
        ({"FEEDBACK_GATEWAY_UPSTREAM": "https://h", "FEEDBACK_URL": "http://h:x"}, "(FEEDBACK_URL) must name a host"),
    ],
)
def test_a_gateway_that_cannot_run_says_why_in_a_sentence(
    environment: dict[str, str], said: str, tmp_path: Path
) -> None:
    code, told = ended("gateway", log=tmp_path / "log", environment={"PATH": "", **environment})
    assert code == 2
    assert said in told
    assert "secret" not in told
    assert len(told.splitlines()) == 1
