"""What all routes of exports share: the stored facts, the running exports, and the folder of files."""

from datetime import timedelta
from pathlib import Path

from query_api.auth import Caller, require_scope
from query_api.clickhouse import Engines
from query_api.exports.orders import Order
from query_api.exports.runs import Runs
from query_api.exports.state import Export
from query_api.exports.store import ExportStore
from query_api.settings import QuerySettings
from runtime.http_errors import ApiError
from schemas.ids import id_in

_TIMEOUT_S = 30.0


class ExportService:
    """The exports of one process. Methods raise ApiError, and what the client of ClickHouse raises."""

    def __init__(self, settings: QuerySettings, engines: Engines) -> None:
        self.settings, self.folder = settings, Path(settings.export_dir)
        self.keep = timedelta(hours=settings.export_keep_hours)
        lease = timedelta(seconds=settings.export_lease_s)
        self.reader = engines.reader(_TIMEOUT_S)
        self.store = ExportStore(engines, self.reader, lease)
        self.runs = Runs(engines, self.reader, self.store, self.folder, self.keep, lease, settings.export_limits)

    async def find(self, export_id: str, caller: Caller | None) -> tuple[str, Export]:
        """An export that the caller may read; without a caller, anybody's."""
        identity = id_in(export_id)
        known = await self.store.find(str(identity)) if identity else None
        if known is None or (caller and caller.workspace != known[0]):
            raise ApiError(f"there is no export with the id {export_id[:60]!r}", "export_id", status=404)
        if caller:
            check_scopes(known[1].order, caller)
        return str(identity), known[1]

    async def signing_secret(self) -> str:
        """The secret of signed addresses: the one in the settings, else the one that all processes share."""
        return self.settings.signing_secret.get_secret_value() or await self.store.signing_secret()


def check_scopes(order: Order, caller: Caller) -> None:
    """Raise ApiError 403 where the caller may not read all that the file of this order holds."""
    if order.tells_feedback:
        require_scope(caller, "feedback.read", "exports with feedback")
