"""The settings of the gateway, from the environment: FEEDBACK_ and the name."""

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.upstreams import Upstream, upstream_of
from runtime.addresses import url_host
from runtime.harmless_names import KeptNames
from runtime.log_setup import Format
from runtime.setting_lists import CommaList, HostNames

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Request and answer of one call must fit into one log, of at most 4.9 MB.
_MOST_BODY_BYTES = 2_000_000


class GatewaySettings(BaseSettings):
    """The gateway's settings with their defaults."""

    model_config = SettingsConfigDict(env_prefix="FEEDBACK_", extra="ignore")

    gateway_host: str = Field("127.0.0.1", min_length=1)
    gateway_port: int = Field(8789, ge=1, le=65535)
    gateway_upstream: str = ""
    gateway_allowed_upstreams: CommaList = ()
    gateway_timeout_s: float = Field(600, gt=0, le=86_400, allow_inf_nan=False)
    gateway_max_held_bytes: int = Field(64 * 1024 * 1024, ge=1_000_000)
    max_connections: int = Field(2000, ge=10, le=1_000_000)
    allowed_hosts: HostNames = ()
    max_logged_body_bytes: int = Field(1_000_000, ge=4_096)
    keep_headers: KeptNames = ()
    keep_url_parameters: KeptNames = ()
    metrics_host: str = Field("127.0.0.1", min_length=1)
    metrics_port: int = Field(0, ge=0, le=65535)
    log_format: Format = "text"

    @field_validator("gateway_upstream", "gateway_allowed_upstreams")
    @classmethod
    def _is_upstream(cls, given: str | tuple[str, ...], info: ValidationInfo) -> str | tuple[str, ...]:
        own = {str(info.data.get("gateway_host", "")).lower(), *_LOOPBACK}
        for text in given if isinstance(given, tuple) else filter(None, (given,)):
            upstream = upstream_of(text)
            if upstream.port == info.data.get("gateway_port") and upstream.host in own:
                raise ValueError(f"must name another server: {upstream} is the gateway itself")
        return given

    @property
    def upstream(self) -> Upstream | None:
        """Where calls go that name no other upstream."""
        return upstream_of(self.gateway_upstream) if self.gateway_upstream else None

    @property
    def allowed(self) -> tuple[Upstream, ...]:
        """Where calls may go by the header that names an upstream."""
        return tuple(map(upstream_of, self.gateway_allowed_upstreams))

    @property
    def address(self) -> str:
        """Where the gateway listens."""
        return f"http://{url_host(self.gateway_host)}:{self.gateway_port}"

    @property
    def places(self) -> str:
        """Where calls go, to be shown."""
        return ", ".join(map(str, filter(None, (self.upstream, *self.allowed))))

    @property
    def logged_body_bytes(self) -> int:
        """The most that is logged of a body."""
        return min(self.max_logged_body_bytes, _MOST_BODY_BYTES)
