"""Every setting of the queries, from the environment: FEEDBACK_ and the name."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.addresses import HttpUrl


class QuerySettings(BaseSettings):
    """The settings with their defaults."""

    model_config = SettingsConfigDict(env_prefix="FEEDBACK_", extra="ignore")

    clickhouse_url: HttpUrl = "http://127.0.0.1:8123"
    kafka_bootstrap: str = "127.0.0.1:9092"
    consumer_group: str = Field("feedback-workers", description="The workers', whose commits say what is stored.")
    require_keys: bool = Field(
        False, description="As for the edge: nobody gets in without a key, even if there is none."
    )
    receipt_timeout_s: float = Field(5.0, gt=0, le=60, allow_inf_nan=False)
    analytics_timeout_s: float = Field(30.0, gt=0, le=600, allow_inf_nan=False)
    query_timeout_s: float = Field(10.0, gt=0, le=300, allow_inf_nan=False)
