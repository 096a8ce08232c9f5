"""The settings of the edge, from the environment: FEEDBACK_ and the name.

Promises that faulty settings are reported at the start, each in one sentence that names the variable. `BodyLimits`
holds the settings that decide whether a body is valid.
"""

import re
from dataclasses import dataclass, field

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ingest_api.otlp.evaluation_scores import ScoreScales, scales_in
from runtime.address_settings import Brokers
from runtime.harmless_names import HarmlessNames, KeptNames, harmless_with
from runtime.log_setup import Format
from runtime.setting_lists import CommaList, HostNames, Origins
from schemas.limits import MOST_ENVIRONMENT_CHARS, MOST_TRACE_ID_CHARS

PREFIX = "FEEDBACK_"

# A topic takes messages up to 8 MiB; an event is its call's body and a little more.
_LARGEST_BODY = 7_500_000
_LARGEST_UNPACKED = 100_000_000
_ENVIRONMENT = re.compile(rf"\S{{1,{MOST_ENVIRONMENT_CHARS}}}")


@dataclass(frozen=True)
class BodyLimits:
    """The limits of a valid body that are settings: in characters, in bytes of compact JSON, and in items."""

    trace_id_chars: int
    metadata_bytes: int
    bulk: int
    environments: frozenset[str]
    logged_body_bytes: int = 1_000_000
    keep_bodies: bool = True
    harmless: HarmlessNames = field(default_factory=HarmlessNames)
    scores: ScoreScales = field(default_factory=ScoreScales)


class Settings(BaseSettings):
    """The edge's settings with their defaults."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore")

    host: str = Field("127.0.0.1", min_length=1)
    port: int = Field(8787, ge=1, le=65535)
    allowed_hosts: HostNames = ()
    browser_origins: Origins = ()
    kafka_bootstrap: Brokers = "127.0.0.1:9092"
    kafka_idempotence: bool = True
    max_body_bytes: int = Field(5_000_000, ge=1_000, le=_LARGEST_BODY)
    max_unpacked_bytes: int = Field(20_000_000, ge=1_000, le=_LARGEST_UNPACKED)
    max_held_body_bytes: int = Field(128 * 1024 * 1024, ge=10_000_000)
    max_trace_id_chars: int = Field(512, ge=1, le=MOST_TRACE_ID_CHARS)
    max_metadata_bytes: int = Field(65_536, ge=2)
    max_bulk: int = Field(1000, ge=1, le=100_000)
    keep_bodies: bool = True
    max_logged_body_bytes: int = Field(1_000_000, ge=4_096)
    keep_headers: KeptNames = ()
    keep_url_parameters: KeptNames = ()
    environments: CommaList = ("production", "staging", "development", "test")
    evaluation_scores: str = ""
    produce_timeout_s: float = Field(5, gt=0, le=300, allow_inf_nan=False)
    max_in_flight_bytes: int = Field(64 * 1024 * 1024, ge=1_000_000)
    idempotency_entries: int = Field(100_000, ge=0, le=10_000_000)
    linger_ms: float = Field(3, ge=0, le=1000, allow_inf_nan=False)
    require_keys: bool = False
    closed_mark: str = ""
    receive_timeout_s: float = Field(30, gt=0, le=3600, allow_inf_nan=False)
    max_connections: int = Field(2000, ge=10, le=1_000_000)
    rate_limit_per_s: int = Field(0, ge=0, le=10_000_000)
    log_format: Format = "text"

    @field_validator("evaluation_scores")
    @classmethod
    def _valid_scores(cls, text: str) -> str:
        scales_in(text)
        return text

    @field_validator("environments")
    @classmethod
    def _valid_environments(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        # Each is a partition of the tables, so their number is the operator's own choice and small.
        if not all(_ENVIRONMENT.fullmatch(name) for name in names) or not 1 <= len(names) <= 50:
            raise ValueError(
                f"must be 1 to 50 names with commas between them, each up to {MOST_ENVIRONMENT_CHARS} characters"
            )
        return names

    @property
    def limits(self) -> BodyLimits:
        """The limits of a body."""
        return BodyLimits(
            self.max_trace_id_chars,
            self.max_metadata_bytes,
            self.max_bulk,
            frozenset(self.environments),
            self.max_logged_body_bytes,
            self.keep_bodies,
            harmless_with(self.keep_headers, self.keep_url_parameters),
            scales_in(self.evaluation_scores),
        )
