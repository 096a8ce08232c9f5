"""What becomes of an export that is large, cancelled, killed, expired, or somebody else's."""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import clickhouse_connect
import pytest
import requests

from deploy.kafka.broker import free_ports
from query_api.clickhouse import Engines
from query_api.exports.files import Part
from query_api.exports.orders import Order
from query_api.exports.service import ExportService
from query_api.exports.signing import signature
from query_api.settings import QuerySettings
from tests.pipeline.engines import Process, answers, clickhouse_with_tables, until
from tests.pipeline.ingest_api.edge_fixtures import Broker, failed
from tests.pipeline.query_api.exporting import Exports, Reply

ROWS = 200_000
"""So many that an export of all is under way for seconds."""
MANY = 60_000
"""So many that their file would show in memory."""
SECRET = "0123456789abcdef0123456789abcdef"
LEASE_S = 6
KEEP_S = 5
START = datetime(2026, 1, 1, tzinfo=UTC)


class Api:
    """The HTTP API over a ClickHouse full of requests, and its folder of exports."""

    def __init__(self, folder: Path, clickhouse: str, kafka: str, **settings: str) -> None:
        (self.port,) = free_ports(1)
        self.clickhouse, self.kafka, self.folder = clickhouse, kafka, folder / "exports"
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {
            "FEEDBACK_PORT": str(self.port),
            "FEEDBACK_KAFKA_BOOTSTRAP": kafka,
            "FEEDBACK_KAFKA_IDEMPOTENCE": "false",
            "FEEDBACK_CLICKHOUSE_URL": clickhouse,
            "FEEDBACK_EXPORT_DIR": str(self.folder),
            "FEEDBACK_EXPORT_LEASE_S": str(LEASE_S),
            "FEEDBACK_SIGNING_SECRET": SECRET,
            **settings,
        }
        self.process = Process([sys.executable, "-m", "deploy.api"], folder / "api.log", environment)
        self.exports = Exports(self.url)
        self.until_it_answers()

    def until_it_answers(self) -> None:
        until(lambda: answers(f"{self.url}/readyz"), "the API answers and knows that there are no keys")

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir()) if self.folder.is_dir() else []

    def until_rows_are_written(self, export_id: str) -> None:
        """The file shows it at once. The API tells it at beats, and a fast export may end before the first."""
        files = f"{export_id}*"
        until(lambda: any(file.stat().st_size for file in self.folder.glob(files)), f"export {export_id} is under way")
        assert self.exports.get(export_id)["status"] == "in_progress"

    def peak_megabytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) // 1024

    def sql(self, query: str) -> int:
        with clickhouse_connect.get_client(dsn=self.clickhouse) as client:
            ((found,),) = client.query(query).result_rows
            return int(found)


REQUESTS = f"""
INSERT INTO feedback.request_log_rows (workspace, request_id, trace_id, started_at, received_at, provider, model,
    status, metadata, request_body, response_body, sequence)
SELECT if(number = 0, 'other', 'default'), generateUUIDv4(number), concat('trace-', toString(number)),
    toDateTime64('{START:%F}', 3, 'UTC') + number, now64(3), 'openai', 'gpt-4o', 200, '{{"a":1}}',
    concat('"', repeat('x', 1000), '"'), '{{}}', number
FROM numbers({ROWS + 1})"""
FEEDBACK = f"""
INSERT INTO feedback.feedback_rows (workspace, feedback_id, trace_id, value, weight, created_at, updated_at, join_state,
    home_environment, metadata, version, is_deleted)
SELECT 'default', generateUUIDv4(number), concat('trace-', toString(number)), 5, toDecimal64(0.5, 9), now64(3),
    now64(3), 'joined', 'other', '{{}}', 1, 0
FROM numbers(1, {MANY // 3})"""


def is_under_way(one: Reply) -> bool:
    """Whether an export is being written, as the API tells it."""
    return one["status"] == "in_progress" and one["progress"]["rows_done"] > 0


def first_requests(number: int) -> dict[str, str]:
    """Filters that so many requests pass."""
    return {"time_of_generation_max": (START + timedelta(seconds=number + 1)).isoformat()}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("exports")
    with clickhouse_with_tables(folder / "clickhouse") as url:
        with clickhouse_connect.get_client(dsn=url) as client:
            client.command(REQUESTS)
            client.command(FEEDBACK)
        broker = Broker(folder)
        running = Api(folder, url, broker.bootstrap)
        try:
            yield running
        finally:
            running.process.kill()
            broker.kill()


@pytest.fixture(scope="module")
def small(api: Api) -> str:
    """An export that is complete."""
    export_id = api.exports.started(filters={"trace_id": "trace-1"})
    api.exports.until_status(export_id, "success")
    return export_id


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_a_large_export_takes_no_memory_to_speak_of(api: Api, small: str, form: str) -> None:
    # The first Parquet file loads a library.
    api.exports.downloaded(filters={"trace_id": "trace-1"}, format=form)
    before = api.peak_megabytes()
    export_id = api.exports.started(format=form, filters=first_requests(MANY))
    one = api.exports.until_status(export_id, "success")
    assert one["progress"]["rows_done"] == one["progress"]["rows_total"] == one["total_records"] == MANY
    reply = requests.get(api.exports.signed_url(export_id), stream=True, timeout=60)
    size = sum(map(len, reply.iter_content(1 << 20)))
    assert size == one["progress"]["bytes_written"]
    assert form == "parquet" or size > MANY * 1000
    assert api.peak_megabytes() - before < 40
    assert "pandas" not in Path(f"/proc/{api.process.pid}/maps").read_text()


def test_a_cancelled_export_stops_and_leaves_no_file(api: Api) -> None:
    export_id = api.exports.started()
    api.until_rows_are_written(export_id)
    api.exports.answered("POST", f"/{export_id}/cancel")
    assert api.exports.get(export_id)["status"] == "stopped"
    running = "SELECT count() FROM system.processes WHERE query LIKE '%request_logs%' AND query NOT LIKE '%processes%'"
    until(lambda: not [name for name in api.files() if name.startswith(export_id)], "its file is gone")
    until(lambda: api.sql(running) == 0, "ClickHouse has stopped")
    api.exports.answered("POST", f"/{export_id}/cancel")
    failed(api.exports.call("GET", f"/{export_id}/download"), 409, "AB07")
    api.exports.answered("PUT", f"/{export_id}", {"filters": {"trace_id": "trace-2"}})
    api.exports.answered("POST", f"/{export_id}/start")
    assert api.exports.until_status(export_id, "success")["total_records"] == 1


@pytest.mark.parametrize("then", ["cancel", "delete"])
async def test_a_file_that_is_whole_too_late_is_removed(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    settings = QuerySettings(clickhouse_url=api.clickhouse, export_dir=str(tmp_path))
    engines = Engines(settings)
    exports = ExportService(settings, engines)
    export_id, finish = str(uuid4()), Part.finish
    loop = asyncio.get_running_loop()

    def finish_after_it_was_cancelled(part: Part) -> int:
        for fact in ("cancel", then):
            note = exports.store.note("default", export_id, fact, {}, 1)
            asyncio.run_coroutine_threadsafe(note, loop).result()
        return finish(part)

    monkeypatch.setattr(Part, "finish", finish_after_it_was_cancelled)
    order = replace(Order.at(datetime.now(UTC)), filters={"trace_id": "trace-1"})
    await exports.runs.order("default", export_id, order)
    await exports.runs.start("default", export_id, order, 1)
    await asyncio.gather(*exports.runs._tasks)
    await engines.close()
    assert list(os.scandir(tmp_path)) == []


def test_an_export_whose_process_is_killed_ends_as_failed_and_can_be_started_again(api: Api) -> None:
    export_id = api.exports.started()
    api.until_rows_are_written(export_id)
    api.process.kill()
    assert [name for name in api.files() if name.startswith(export_id)] != []
    api.process.start()
    api.until_it_answers()
    one = api.exports.until_status(export_id, "failed", 60)
    assert "nothing was heard of it after" in one["error"]
    failed(api.exports.call("GET", f"/{export_id}/download"), 409, "AB07")
    api.exports.answered("PUT", f"/{export_id}", {"filters": {"trace_id": ["trace-2", "trace-3"]}})
    api.exports.answered("POST", f"/{export_id}/start")
    assert api.exports.until_status(export_id, "success")["total_records"] == 2


def test_a_folder_that_cannot_be_written_fails_the_export_in_one_sentence(api: Api) -> None:
    aside = api.folder.rename(api.folder.with_name("aside"))
    api.folder.write_text("in the way")
    try:
        one = api.exports.until_status(api.exports.started(filters={"trace_id": "trace-1"}), "failed")
        assert one["error"].startswith("The file could not be written: ")
    finally:
        api.folder.unlink()
        aside.rename(api.folder)


def test_only_a_genuine_address_opens_the_file_and_only_in_time(api: Api, small: str) -> None:
    url = api.exports.signed_url(small)
    given = parse_qs(urlsplit(url).query)
    ((expires,), (signed,)) = (given["expires"], given["signature"])
    assert url.startswith(f"{api.url}/v1/logs/exports/{small}/file?")
    assert time.time() < int(expires) <= time.time() + 3600
    assert requests.get(url, timeout=60, headers={"Range": "bytes=0-0"}).content == b"{"
    address = url.partition("?")[0]

    def ask(expires: str, signed: str, at: str = address) -> requests.Response:
        return requests.get(at, params={"expires": expires, "signature": signed}, timeout=60)

    assert ask(expires, signed).status_code == 200
    changed = signed[:-1] + ("0" if signed[-1] != "0" else "1")
    other = f"{api.url}/v1/logs/exports/{uuid4()}/file"
    for reply in (
        ask(expires, changed),
        ask(expires, ""),
        ask(expires, "é"),
        ask(str(int(expires) + 1), signed),
        ask(f"0{expires}", signed),
        ask("", signed),
        ask(expires, signed, other),
        requests.get(address, timeout=60),
    ):
        assert failed(reply, 403, "AB03")["param"] == "signature"
    past = int(time.time()) - 1
    reply = ask(str(past), signature(SECRET, small, past))
    assert (reply.status_code, reply.json()["error"]["param"]) == (410, "expires")


def test_a_file_whose_time_is_over_is_gone_and_can_be_made_again_and_what_a_stopped_process_ran_has_failed(
    api: Api, tmp_path: Path
) -> None:
    (tmp_path / "exports").mkdir()
    old = tmp_path / "exports" / f"{uuid4()}-{uuid4().hex}.jsonl"
    old.write_text("{}\n")
    os.utime(old, (time.time() - KEEP_S - 1,) * 2)
    short = Api(tmp_path, api.clickhouse, api.kafka, FEEDBACK_EXPORT_KEEP_HOURS=str(KEEP_S / 3600))
    try:
        # Files are swept once a minute, and when a process starts.
        until(lambda: short.files() == [], "the file is removed")
        export_id = short.exports.started(filters={"trace_id": "trace-1"})
        short.exports.until_status(export_id, "success")
        url = short.exports.signed_url(export_id)
        assert requests.get(url, timeout=60).status_code == 200
        until(lambda: short.exports.call("GET", f"/{export_id}/download").status_code == 410, "its time is over")
        assert requests.get(url, timeout=60).status_code == 410
        for name in short.files():
            (short.folder / name).unlink()
        short.exports.answered("POST", f"/{export_id}/start")
        assert short.exports.until_status(export_id, "success")["total_records"] == 1
        assert requests.get(short.exports.signed_url(export_id), timeout=60).status_code == 200

        # Two run at once, and the others wait: some are not done, however fast this is.
        large = [short.exports.started() for _ in range(4)]
        until(lambda: any(map(is_under_way, map(short.exports.get, large))), "it is told how far one has come")
        assert short.process.stop() == 0
        # What could not be told in time shows once its lease is over.
        until(lambda: all(api.exports.get(each)["status"] != "in_progress" for each in large), "each has ended")
        left = [one for one in map(api.exports.get, large) if one["status"] != "success"]
        assert {one["status"] for one in left} == {"failed"}
        assert "The process that ran it was stopped. Start it again." in {one["error"] for one in left}
        assert [name for name in short.files() for one in left if name.startswith(one["id"])] == []
    finally:
        short.process.kill()


def test_the_export_of_another_workspace_is_not_there_and_its_rows_are_in_none(api: Api) -> None:
    export_id = str(uuid4())
    with clickhouse_connect.get_client(dsn=api.clickhouse) as client:
        order = '{"filters":{},"requested_data":["id"],"format":"jsonl","kind":"logs","created_at":"2026-01-01"}'
        columns = "(workspace, export_id, fact, attempt, runner, content)"
        client.command(
            f"INSERT INTO feedback.exports {columns} VALUES ('other', '{export_id}', 'order', 0, '', '{order}')"
        )
    for method, path in (("GET", ""), ("PUT", ""), ("POST", "/start"), ("POST", "/cancel"), ("GET", "/download")):
        assert failed(api.exports.call(method, f"/{export_id}{path}", {}), 404, "AB02")["param"] == "export_id"
    listed = api.exports.answered("GET")
    assert listed["total"] > 0
    assert export_id not in {one["id"] for one in listed["data"]}
    assert api.exports.downloaded(filters={"trace_id": "trace-0"}) == b""


@pytest.mark.parametrize(
    ("body", "param", "status"),
    [
        ({"filters": {"modle": "x"}}, "modle", 400),
        ({"filters": {"cost_min": "much"}}, "cost_min", 400),
        ({"filters": []}, "filters", 400),
        ({"filters": {"current_page": 1}}, "current_page", 400),
        ({"filters": {"page_size": 0}}, "page_size", 400),
        ({"requested_data": ["id", "nothing"]}, "requested_data", 400),
        ({"requested_data": ["value"], "kind": "logs"}, "requested_data", 400),
        ({"format": "xlsx"}, "format", 400),
        ({"kind": "traces"}, "kind", 400),
        ({"description": 5}, "description", 400),
        ({"workspace_id": "other"}, "workspace_id", 403),
        ({"colour": "red"}, "colour", 400),
        ([], None, 400),
    ],
)
def test_an_order_with_a_fault_is_refused_and_named(api: Api, body: object, param: str | None, status: int) -> None:
    before = api.exports.answered("GET")["total"]
    assert failed(api.exports.call("POST", "", body), status, "AB01" if status == 400 else "AB03")["param"] == param
    assert api.exports.answered("GET")["total"] == before


def test_a_complete_export_is_neither_changed_nor_run_again(api: Api, small: str) -> None:
    for method, path in (("PUT", ""), ("POST", "/start"), ("POST", "/cancel")):
        failed(api.exports.call(method, f"/{small}{path}", {}), 409, "AB07")
    draft = api.exports.order(filters={"trace_id": "trace-1"}, description="later")
    assert (api.exports.get(draft)["status"], api.exports.get(draft)["description"]) == ("draft", "later")
    failed(api.exports.call("GET", f"/{draft}/download"), 409, "AB07")
    failed(api.exports.call("POST", f"/{draft}/cancel"), 409, "AB07")


LIMITS = {"MAX_RUNNING": 1, "MAX_FILES": 2, "MAX_ORDERS": 11, "MAX_WORKSPACE_BYTES": MANY * 2000}


@pytest.fixture(scope="module")
def two_processes(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Api, Api]]:
    """Two processes with one folder and limits."""
    exports = tmp_path_factory.mktemp("limited")
    settings = {f"FEEDBACK_EXPORT_{name}": str(limit) for name, limit in LIMITS.items()}
    settings["FEEDBACK_EXPORT_DIR"] = str(exports)
    one, other = (Api(tmp_path_factory.mktemp(name), api.clickhouse, api.kafka, **settings) for name in ("one", "two"))
    one.folder = other.folder = exports
    yield one, other
    one.process.kill()
    other.process.kill()


@pytest.fixture
def limited(two_processes: tuple[Api, Api]) -> tuple[Api, Api]:
    """The two, on a ClickHouse that knows of no export."""
    with clickhouse_connect.get_client(dsn=two_processes[0].clickhouse) as client:
        client.command("TRUNCATE TABLE feedback.exports")
    return two_processes


def too_many(reply: requests.Response, status: int, setting: str) -> None:
    assert setting in failed(reply, status, "AB06" if status == 429 else "AB04")["message"]
    assert status != 429 or int(reply.headers["Retry-After"]) > 0


def test_a_workspace_runs_keeps_and_orders_no_more_exports_than_it_may(limited: tuple[Api, Api]) -> None:
    one, other = limited
    few = {"filters": {"trace_id": "trace-1"}}
    larges = [one.exports.order() for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        at_once = list(pool.map(lambda each: one.exports.call("POST", f"/{each}/start").status_code, larges))
    assert sorted(at_once) == [200, 429, 429]
    large = larges[at_once.index(200)]
    for each in set(larges) - {large}:
        one.exports.answered("DELETE", f"/{each}")
    small, third = one.exports.order(**few), one.exports.order(**few)
    too_many(other.exports.call("POST", f"/{small}/start"), 429, "FEEDBACK_EXPORT_MAX_RUNNING")
    assert other.exports.get(small)["status"] == "draft"
    failed(one.exports.call("DELETE", f"/{large}"), 409, "AB07")
    one.exports.answered("POST", f"/{large}/cancel")
    for each in (small, third):
        other.exports.answered("POST", f"/{each}/start")
        other.exports.until_status(each, "success")
    too_many(one.exports.call("POST", f"/{large}/start"), 429, "FEEDBACK_EXPORT_MAX_FILES")
    url = other.exports.signed_url(third)
    assert requests.get(url, timeout=60).status_code == 200
    assert one.exports.answered("DELETE", f"/{third}")["id"] == third
    assert requests.get(url, timeout=60).status_code == 404
    failed(other.exports.call("GET", f"/{third}"), 404, "AB02")
    assert [name for name in one.files() if name.startswith(third)] == []
    assert {each["id"] for each in other.exports.answered("GET")["data"]} == {large, small}
    assert other.exports.answered("GET")["total"] == 2
    one.exports.started(**few)
    one.exports.order(**few)
    too_many(other.exports.call("POST", "", few), 429, "FEEDBACK_EXPORT_MAX_ORDERS")


def test_a_file_that_grows_beyond_a_limit_fails_and_leaves_nothing(limited: tuple[Api, Api]) -> None:
    one, other = limited
    kept = other.exports.started(filters=first_requests(MANY // 2))
    other.exports.until_status(kept, "success")
    large = one.exports.started(filters=first_requests(MANY))
    told = one.exports.until_status(large, "failed")["error"]
    assert told.startswith("The exported files of this workspace take ")
    assert "FEEDBACK_EXPORT_MAX_WORKSPACE_BYTES" in told
    assert [name for name in one.files() if name.startswith(large)] == []
    one.exports.answered("DELETE", f"/{kept}")
    one.exports.answered("POST", f"/{large}/start")
    one.exports.until_status(large, "success")
