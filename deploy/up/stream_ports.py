"""The ports on which the workers and the rollup program serve metrics and health, and their answers there."""

from deploy.kafka.broker import free_ports
from deploy.up.health import Check
from deploy.up.options import metrics_port
from deploy.up.readiness import health, until_http_200
from deploy.up.setup import Setup


class StreamPorts:
    """The ports by program, from the first start of each on."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._ports: dict[str, int] = {}

    def assign(self, name: str, number: int) -> dict[str, str]:
        """The setting of the port of the program with this number; a free port if none is set."""
        setting = metrics_port(self._setup.environment, number) or {"FEEDBACK_METRICS_PORT": str(free_ports(1)[0])}
        self._ports[name] = int(setting["FEEDBACK_METRICS_PORT"])
        return setting

    async def until_ready(self, name: str) -> None:
        """Return when the program says that it is ready."""
        await until_http_200(self._setup.metrics_host, self._ports[name], "/readyz")

    async def health(self, name: str) -> Check:
        """The health of the program."""
        return await health(self._setup.metrics_host, self._ports[name])
