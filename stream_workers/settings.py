"""Settings of the worker and the rollup program, from the environment (`FEEDBACK_…`), checked at the start."""

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.address_settings import Brokers, ClickHouseUrl
from runtime.log_setup import Format
from runtime.setting_lists import HostNames


class ProgramSettings(BaseSettings):
    """Settings that both programs have. Every default suits one machine."""

    model_config = SettingsConfigDict(env_prefix="FEEDBACK_", extra="ignore")

    kafka_bootstrap: Brokers = Field("127.0.0.1:9092", description="Brokers, host:port, comma-separated.")
    clickhouse_url: ClickHouseUrl = Field("", validate_default=True, description="ClickHouse's HTTP interface.")
    commit_interval_s: float = Field(
        0.5, gt=0, le=60, allow_inf_nan=False, description="Seconds between offset commits, at most 60."
    )
    # Faust waits 90 s for any answer of a broker, and a session may not be longer.
    session_timeout_s: float = Field(
        10.0,
        ge=3,
        le=90,
        allow_inf_nan=False,
        description="Seconds until a silent worker loses its partitions, 3 to 90.",
    )
    consumer_group: str = Field("feedback-workers", min_length=1, description="Kafka group that shares the partitions.")
    rollup_group: str = Field(
        "feedback-rollups", min_length=1, validate_default=True, description="Kafka group that shares the hours."
    )
    metrics_host: str = Field("127.0.0.1", min_length=1, description="Address on which metrics are served.")
    metrics_port: int = Field(0, ge=0, le=65535, description="Port on which metrics are served; 0: they are not.")
    allowed_hosts: HostNames = ()
    log_format: Format = "text"

    @field_validator("rollup_group")
    @classmethod
    def _of_its_own(cls, group: str, others: ValidationInfo) -> str:
        if group == others.data.get("consumer_group"):
            raise ValueError("must be another group than FEEDBACK_CONSUMER_GROUP, whose programs read other topics")
        return group


class RollupSettings(ProgramSettings):
    """Settings of the program that computes rollups."""

    rollup_interval_s: float = Field(
        1.0, ge=0, le=3600, allow_inf_nan=False, description="Seconds between computations."
    )


class WorkerSettings(ProgramSettings):
    """Settings of a worker."""

    kafka_idempotence: bool = Field(True, description="Idempotent producer; off for the embedded broker.")
    offset_base: int = Field(0, ge=0, lt=2**47, description="Added to offsets; raise it when topics are made anew.")
    max_poll_records: int = Field(16_000, ge=1, le=200_000, description="Most records in one consumer batch.")
    max_dead_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of dead letters in the latest records beyond which to stop; 0 or 1: never.",
    )
    cache_mb: int = Field(128, ge=0, description="Megabytes of trace states kept between consumer batches.")
