"""Settings of a dashboard in a separate process, from the environment: FEEDBACK_ and the name."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.address_settings import HttpUrlOrNone
from runtime.log_setup import Format
from runtime.setting_lists import HostNames


class DashboardSettings(BaseSettings):
    """The settings of a dashboard process, with their defaults."""

    model_config = SettingsConfigDict(env_prefix="FEEDBACK_", extra="ignore")

    allowed_hosts: HostNames = ()
    public_url: HttpUrlOrNone = ""
    log_format: Format = "text"
    receive_timeout_s: float = Field(30, gt=0, le=3600, allow_inf_nan=False)
