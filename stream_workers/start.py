"""Starting a Faust program in the foreground, or saying which setting keeps it from it."""

import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Literal, TypeVar

import faust

from schemas.background import exit_code
from schemas.health_server import serve_health
from schemas.logs import config, log_what_nobody_catches
from schemas.metrics import registry_of
from schemas.settings_faults import SettingsError, load
from stream_workers.settings import ProgramSettings
from stream_workers.vitals import VITALS

Settings = TypeVar("Settings", bound=ProgramSettings)


class _NoPandas(MetaPathFinder):
    """Has pandas taken for not installed: pyarrow imports it at its first array, for a second and 50 MB, in vain."""

    def find_spec(self, name: str, path: object, target: ModuleType | None = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(f"{name} is not used here", name=name)


def run(name: Literal["worker", "rollup"], settings: type[Settings], build: Callable[[Settings], faust.App]) -> int:
    """Run the app until SIGTERM; the exit code: 2 where a setting is faulty, 1 where the program ended by itself.

    Metrics and health are served from a thread.
    """
    try:
        read = load(settings)
    except SettingsError as faults:
        for fault in str(faults).splitlines():
            print(f"feedback {name}: {fault}", file=sys.stderr)
        return 2
    if read.metrics_port:
        try:
            serve_health(read.metrics_host, read.metrics_port, registry_of(name), VITALS.alive, VITALS.ready)
        except OSError as error:
            place = f"port {read.metrics_port} on {read.metrics_host} cannot be had ({error.strerror})"
            print(f"feedback {name}: FEEDBACK_METRICS_PORT: {place}: give another, or 0 for none.", file=sys.stderr)
            return 2
    log_what_nobody_catches()
    sys.meta_path.insert(0, _NoPandas())
    worker = faust.Worker(
        build(read), loglevel="WARNING", logging_config=config(read.log_format), redirect_stdouts=False, quiet=True
    )
    worker.spinner = None  # its cursor codes do not belong into a log
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) and end.code else exit_code()
    return exit_code()
