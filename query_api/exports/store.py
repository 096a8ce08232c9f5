"""The facts about exports and the signing secret, as ClickHouse keeps them."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from query_api.clickhouse import Engines, Reader
from query_api.exports.quota import Recent, Usage, usage
from query_api.exports.state import Export, Fact, export, held

_AT_ONCE = {"async_insert": 0}
_COLUMNS = "toString(export_id) AS id, workspace, fact, attempt, runner, content, noted_at, now64(6, 'UTC') AS now"
_ONE = f"SELECT {_COLUMNS} FROM feedback.exports FINAL WHERE export_id = {{id:UUID}}"
_STANDS = """export_id NOT IN (
        SELECT export_id FROM feedback.exports WHERE workspace = {workspace:String} AND fact = 'delete'
    )"""
_LATEST = f"""SELECT {_COLUMNS} FROM feedback.exports FINAL
WHERE workspace = {{workspace:String}} AND export_id IN (
    SELECT export_id FROM feedback.exports WHERE workspace = {{workspace:String}} AND fact = 'order' AND {_STANDS}
    GROUP BY export_id ORDER BY min(JSONExtractString(content, 'created_at')) DESC, export_id
    LIMIT {{size:UInt64}} OFFSET {{skipped:UInt64}}
)"""
_COUNT = f"""SELECT uniqExact(export_id) AS total FROM feedback.exports
WHERE workspace = {{workspace:String}} AND {_STANDS}"""
# Of what was ordered nothing is read: it may be long.
_HELD = """SELECT toString(export_id) AS id, fact, attempt, runner, if(fact = 'run', e.content, '{}') AS content,
    noted_at, now64(6, 'UTC') AS now
FROM feedback.exports AS e FINAL
WHERE workspace = {workspace:String} AND fact != 'order' AND (export_id, attempt) IN (
    SELECT export_id, max(attempt) FROM feedback.exports
    WHERE workspace = {workspace:String} AND noted_at >= now64(6) - toIntervalMillisecond({since_ms:UInt64})
    GROUP BY export_id
)"""
_RECENT = """SELECT count() AS number, sum(length(content)) AS size, min(noted_at) AS first_at, now64(6, 'UTC') AS now
FROM feedback.exports FINAL
WHERE workspace = {workspace:String} AND fact IN ('order', 'claim')
    AND noted_at >= now64(6) - toIntervalMillisecond({since_ms:UInt64})"""
_SECRET = "SELECT secret FROM feedback.secrets WHERE name = 'export_signing' ORDER BY made_at, secret LIMIT 1"


class ExportStore:
    """Facts of any workspace. All methods raise what the client raises."""

    def __init__(self, engines: Engines, reader: Reader, lease: timedelta) -> None:
        self._engines, self._reader, self._lease = engines, reader, lease

    async def note(
        self, workspace: str, export_id: str, kind: str, content: dict[str, Any], attempt: int = 0, runner: str = ""
    ) -> None:
        """Write one fact, in place of what its writer said before."""
        row = (workspace, UUID(export_id), kind, attempt, runner, msgspec.json.encode(content).decode())
        names = ["workspace", "export_id", "fact", "attempt", "runner", "content"]
        client = await self._engines.clickhouse()
        await client.insert("feedback.exports", [row], column_names=names, settings=_AT_ONCE)

    async def facts(self, export_id: str) -> tuple[str, list[Fact], datetime | None]:
        """(workspace, facts, now) of an export; empty where there is none."""
        rows = await self._reader.rows(_ONE, {"id": export_id})
        return (rows[0]["workspace"], [_fact(row) for row in rows], _utc(rows[0]["now"])) if rows else ("", [], None)

    async def find(self, export_id: str) -> tuple[str, Export] | None:
        """(workspace, export), whoever's it is."""
        workspace, facts, now = await self.facts(export_id)
        found = export(facts, now, self._lease) if now else None
        return (workspace, found) if found else None

    async def latest(self, workspace: str, size: int, skipped: int) -> tuple[int, dict[str, Export]]:
        """How many a workspace has, and a page of them by id, the newest first."""
        (counted,) = await self._reader.rows(_COUNT, {"workspace": workspace})
        parameters = {"workspace": workspace, "size": size, "skipped": skipped}
        facts: dict[str, list[Fact]] = {}
        now = None
        for row in await self._reader.rows(_LATEST, parameters):
            facts.setdefault(row["id"], []).append(_fact(row))
            now = _utc(row["now"])
        found = {each: one for each, of_one in facts.items() if now and (one := export(of_one, now, self._lease))}
        newest = sorted(found, key=lambda each: (found[each].order.created_at, each), reverse=True)
        return counted["total"], {each: found[each] for each in newest}

    async def recent(self, workspace: str, keep: timedelta) -> tuple[Recent, datetime]:
        """What a workspace has ordered and started within this time, and now."""
        (row,) = await self._reader.rows(_RECENT, {"workspace": workspace, "since_ms": _milliseconds(keep)})
        first_at = _utc(row["first_at"]) if row["number"] else None
        return Recent(row["number"], row["size"], first_at), _utc(row["now"])

    async def usage(self, workspace: str, keep: timedelta) -> tuple[Usage, datetime | None]:
        """What the exports of a workspace take, and now; None where there are none."""
        # Whatever runs, or has a file, was heard of within this time.
        parameters = {"workspace": workspace, "since_ms": _milliseconds(keep + self._lease)}
        facts: dict[str, list[Fact]] = {}
        now = None
        for row in await self._reader.rows(_HELD, parameters):
            facts.setdefault(row["id"], []).append(_fact(row))
            now = _utc(row["now"])
        if now is None:
            return Usage(0, {}, None), None
        exports = {each: one for each, of_one in facts.items() if (one := held(of_one, now, self._lease))}
        return usage(exports, now, keep), now

    async def signing_secret(self) -> str:
        """The secret that all processes share; made once, at the first need."""
        rows = await self._reader.rows(_SECRET)
        if not rows:
            made = [("export_signing", secrets.token_hex(32))]
            client = await self._engines.clickhouse()
            await client.insert("feedback.secrets", made, column_names=["name", "secret"], settings=_AT_ONCE)
            rows = await self._reader.rows(_SECRET)
        return str(rows[0]["secret"])


def _milliseconds(period: timedelta) -> int:
    return round(period / timedelta(milliseconds=1))


def _fact(row: dict[str, Any]) -> Fact:
    return Fact(row["fact"], row["attempt"], row["runner"], msgspec.json.decode(row["content"]), _utc(row["noted_at"]))


def _utc(at: datetime) -> datetime:
    # The client gives times of UTC without their zone.
    return at if at.tzinfo else at.replace(tzinfo=UTC)
