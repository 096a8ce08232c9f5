"""Every setting of the queries, from the environment: FEEDBACK_ and the name."""

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class QuerySettings(BaseSettings):
    """The settings with their defaults."""

    model_config = SettingsConfigDict(env_prefix="FEEDBACK_", extra="ignore")

    clickhouse_url: str = "http://127.0.0.1:8123"
    kafka_bootstrap: str = "127.0.0.1:9092"
    consumer_group: str = Field("feedback-workers", description="The workers', whose commits say what is stored.")
    receipt_timeout_s: float = Field(5.0, gt=0, le=60, allow_inf_nan=False)
    query_timeout_s: float = Field(10.0, gt=0, le=300, allow_inf_nan=False)

    @field_validator("clickhouse_url")
    @classmethod
    def _http(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://, as in http://user:password@host:8123")
        return url
