"""Settings of a dashboard in a separate process, from the environment: FEEDBACK_ and the name."""

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from runtime.addresses import HttpUrlOrNone
from runtime.log_setup import Format
from runtime.request_origin import host_names


class DashboardSettings(BaseSettings):
    """These settings with their defaults."""

    model_config = SettingsConfigDict(env_prefix="FEEDBACK_", extra="ignore")

    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    public_url: HttpUrlOrNone = ""
    log_format: Format = "text"
    receive_timeout_s: float = Field(30, gt=0, le=3600, allow_inf_nan=False)

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _hosts(cls, value: object) -> object:
        return host_names(value) if isinstance(value, str) else value
