"""Every setting of the queries, from the environment: FEEDBACK_ and the name."""

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from query_api.exports.limits import Limits
from runtime.address_settings import Brokers, ClickHouseUrl, HttpUrlOrNone
from runtime.addresses import url_host

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""What listens on every address of a machine, and where this machine itself reaches that."""

_SECRET_CHARS = 32


class QuerySettings(BaseSettings):
    """The settings with their defaults."""

    model_config = SettingsConfigDict(env_prefix="FEEDBACK_", extra="ignore")

    host: str = Field("127.0.0.1", min_length=1)
    port: int = Field(8787, ge=1, le=65535)
    clickhouse_url: ClickHouseUrl = Field("", validate_default=True)
    kafka_bootstrap: Brokers = "127.0.0.1:9092"
    consumer_group: str = Field(
        "feedback-workers", min_length=1, description="The workers', whose commits say what is stored."
    )
    read_rate_limit_per_s: int = Field(500, ge=0, le=10_000_000, description="Questions of a key; 0: any number.")
    receipt_timeout_s: float = Field(5.0, gt=0, le=60, allow_inf_nan=False)
    analytics_timeout_s: float = Field(30.0, gt=0, le=600, allow_inf_nan=False)
    query_timeout_s: float = Field(10.0, gt=0, le=300, allow_inf_nan=False)
    export_dir: str = Field(".feedback/exports", min_length=1)
    export_keep_hours: float = Field(72.0, gt=0, le=24 * 365, allow_inf_nan=False)
    export_lease_s: float = Field(30.0, ge=3, le=3600, allow_inf_nan=False)
    export_url_minutes: float = Field(60.0, gt=0, le=60 * 24 * 365, allow_inf_nan=False)
    export_max_running: int = Field(10, ge=1, le=1000)
    export_max_files: int = Field(100, ge=1, le=10_000)
    export_max_workspace_bytes: int = Field(10_000_000_000, ge=1)
    export_max_orders: int = Field(10_000, ge=1, le=1_000_000)
    export_max_bytes: int = Field(50_000_000_000, ge=1)
    export_min_free_bytes: int = Field(2_000_000_000, ge=0)
    signing_secret: SecretStr = Field(
        SecretStr(""), description="Of download addresses; empty: one kept in ClickHouse."
    )
    public_url: HttpUrlOrNone = Field("", description="How callers reach the API; empty: where it listens.")

    @property
    def export_limits(self) -> Limits:
        """What exports may take."""
        return Limits(
            running=self.export_max_running,
            files=self.export_max_files,
            workspace_bytes=self.export_max_workspace_bytes,
            orders=self.export_max_orders,
            all_bytes=self.export_max_bytes,
            free_bytes=self.export_min_free_bytes,
        )

    @property
    def address(self) -> str:
        """Where callers reach the API. Never what a request says of its host, which whoever sends it may choose."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = ANY_ADDRESS.get(self.host, self.host)
        return f"http://{url_host(host)}:{self.port}"

    @field_validator("signing_secret")
    @classmethod
    def _long(cls, secret: SecretStr) -> SecretStr:
        if 0 < len(secret.get_secret_value()) < _SECRET_CHARS:
            raise ValueError(f"must have at least {_SECRET_CHARS} characters, as openssl rand -hex 32 gives")
        return secret
