"""Settings of the workers and the rollup program that the admin part of the HTTP API needs as well."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from stream_workers.settings import RollupSettings

_ROLLUP_GROUP: str = RollupSettings.model_fields["rollup_group"].default


class AdminSettings(BaseSettings):
    """These settings with their defaults."""

    model_config = SettingsConfigDict(env_prefix="FEEDBACK_", extra="ignore", env_ignore_empty=True)

    rollup_group: str = Field(_ROLLUP_GROUP, min_length=1)
    offset_base: int | None = Field(
        None, ge=0, lt=2**47, description="What workers add to offsets; none: as it is noted."
    )
