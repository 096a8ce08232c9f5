"""The promises of the embedded ClickHouse front, kept by the real engine in a process of its own."""

import datetime as dt
import gzip
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import clickhouse_connect
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.external import ExternalData

from deploy.embedded.clickhouse_address import password_of
from runtime.clickhouse_address import ADDRESS_FILE

UTC = dt.UTC
NOON = dt.datetime(2026, 3, 1, 12, 0, 0, 123000)


LAUNCHED: list[subprocess.Popen[str]] = []


@pytest.fixture(scope="module", autouse=True)
def no_process_outlives_the_tests() -> Iterator[None]:
    yield
    for process in LAUNCHED:
        if process.poll() is None:
            process.kill()
            process.communicate()


@dataclass
class Server:
    """One front process and how to reach it."""

    process: subprocess.Popen[str]
    port: int
    password: str

    def client(self, **options: Any) -> Client:
        return clickhouse_connect.get_client(
            host="127.0.0.1", port=self.port, username="default", password=self.password, **options
        )

    def request(
        self, method: str, body: bytes | None = None, headers: dict[str, str] | None = None, **parameters: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            known = {"X-ClickHouse-User": "default", "X-ClickHouse-Key": self.password}
            connection.request(method, f"/?{urlencode(parameters)}", body, known | (headers or {}))
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()


def launch(data_dir: Path, port: int = 0) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "deploy.embedded.clickhouse_http",
        "--port",
        str(port),
        "--data-dir",
        str(data_dir),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    LAUNCHED.append(process)
    return process


def start(data_dir: Path) -> Server:
    process = launch(data_dir)
    assert process.stderr is not None
    ready = process.stderr.readline()
    assert ready.startswith("ClickHouse is ready on http://127.0.0.1:"), ready
    password = password_of((data_dir / ADDRESS_FILE).read_text().strip())
    return Server(process, int(ready.split("127.0.0.1:")[1].split(",")[0]), password)


def stop(server: Server) -> tuple[int, str, str]:
    """(exit code, stdout, stderr after the ready line) of a server that was asked to end."""
    server.process.send_signal(signal.SIGTERM)
    out, err = server.process.communicate(timeout=60)
    return server.process.returncode, out, err


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start(tmp_path_factory.mktemp("clickhouse"))
    yield running
    assert stop(running) == (0, "", ""), "a clean stop says nothing and exits 0"


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return server.client()


@pytest.fixture
def table(client: Client) -> Iterator[str]:
    client.command("DROP TABLE IF EXISTS t")
    client.command(
        "CREATE TABLE t (id UInt32, name String, tags Array(String), at DateTime64(3, 'UTC'))"
        " ENGINE = MergeTree ORDER BY id"
    )
    yield "t"
    client.command("DROP TABLE t")


def rows(count: int) -> list[list[object]]:
    return [[i, f"name {i}", ["a", f"b{i}"], NOON.replace(tzinfo=UTC)] for i in range(count)]


COLUMNS = ["id", "name", "tags", "at"]


def test_ping_and_an_empty_request_answer_ok(server: Server) -> None:
    connection = HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/ping")
    assert connection.getresponse().read() == b"Ok.\n"
    connection.close()
    assert server.request("GET")[2] == b"Ok.\n"


def test_the_address_tells_statements_and_health_checks_from_the_rest(server: Server) -> None:
    connection = HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/nowhere", headers={"X-ClickHouse-Key": server.password})
    assert connection.getresponse().status == 404
    connection.close()


@pytest.mark.parametrize("compress", [False, "lz4", "gzip"])
def test_a_native_insert_comes_back_unchanged_under_every_compression(
    server: Server, table: str, compress: bool | str
) -> None:
    with server.client(compress=compress) as client:
        summary = client.insert(table, rows(5000), column_names=COLUMNS)
        assert summary.written_rows == 5000
        result = client.query("SELECT * FROM t ORDER BY id")
    assert [list(row) for row in result.result_rows] == [[*row[:3], NOON] for row in rows(5000)]


def test_arrow_goes_in_and_comes_out(client: Client, table: str) -> None:
    sent = pa.table({"id": pa.array([1, 2], pa.uint32()), "name": ["x", "y"]})
    assert client.insert_arrow(table, sent).written_rows == 2
    back = client.query_arrow("SELECT id, name FROM t ORDER BY id", use_strings=True)
    assert back.to_pydict() == sent.to_pydict()


@pytest.mark.parametrize(
    "data_format", ["Native", "ArrowStream", "Arrow", "JSONEachRow", "RowBinary", "CSV", "Parquet"]
)
@pytest.mark.parametrize("place", ["body", "address"])
def test_rows_of_every_format_are_inserted_from_the_body(
    server: Server, client: Client, table: str, data_format: str, place: str
) -> None:
    # Ten columns, for the first byte of Native is then a newline, which must be taken for data.
    client.command("DROP TABLE IF EXISTS wide")
    client.command(f"CREATE TABLE wide ({', '.join(f'c{i} UInt8' for i in range(10))}) ENGINE = MergeTree ORDER BY c0")
    select = f"SELECT {', '.join(f'toUInt8({i}) AS c{i}' for i in range(10))}"
    data = client.raw_query(select, fmt=data_format)
    insert = f"INSERT INTO wide FORMAT {data_format}"
    if place == "body":
        status, headers, body = server.request("POST", insert.encode() + b"\n" + data)
    else:
        status, headers, body = server.request("POST", data, query=insert)
    assert (status, body) == (200, b"")
    assert '"written_rows":"1"' in headers["x-clickhouse-summary"]
    assert client.query("SELECT * FROM wide").result_rows == [tuple(range(10))]


def test_inserts_with_values_or_a_select_need_no_format(server: Server, client: Client, table: str) -> None:
    assert server.request("POST", b"INSERT INTO t (id, name) VALUES (1, 'a;FORMAT CSV'), (2, 'b')")[0] == 200
    assert server.request("POST", b"(3, 'c')", query="INSERT INTO t (id, name) VALUES")[0] == 200
    assert server.request("POST", b"(4, 'd')", query="INSERT INTO t (id, name)")[0] == 200
    assert server.request("POST", b"INSERT INTO t SELECT id + 10, name, tags, at FROM t")[0] == 200
    assert client.query("SELECT groupArray(id) FROM (SELECT id FROM t ORDER BY id)").first_row == (
        [1, 2, 3, 4, 11, 12, 13, 14],
    )
    assert client.query("SELECT name FROM t WHERE id = 1").first_row == ("a;FORMAT CSV",)


def test_a_gzip_body_and_a_gzip_answer_are_understood(server: Server) -> None:
    statement = gzip.compress(b"SELECT number FROM numbers(5000)")
    status, headers, body = server.request(
        "POST", statement, {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}, enable_http_compression="1"
    )
    assert (status, headers["content-encoding"]) == (200, "gzip")
    assert gzip.decompress(body).count(b"\n") == 5000
    _, headers, body = server.request("POST", statement, {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"})
    assert "content-encoding" not in headers, "compression is given only to who enables it"


def test_a_body_that_is_not_what_its_encoding_says_is_refused(server: Server) -> None:
    status, headers, body = server.request("POST", b"SELECT 1", {"Content-Encoding": "lz4"})
    assert (status, headers["x-clickhouse-exception-code"]) == (400, "117")
    assert b"not valid lz4" in body


def test_the_statement_may_be_split_over_address_and_body(server: Server) -> None:
    assert server.request("POST", b"+ 1", query="SELECT 1")[2] == b"2\n"


def test_the_answer_names_its_format_zone_query_and_counts(server: Server) -> None:
    _, headers, body = server.request("GET", query="SELECT 1 AS a", default_format="JSONEachRow", query_id="mine")
    assert body == b'{"a":1}\n'
    assert headers["x-clickhouse-format"] == "JSONEachRow"
    assert headers["x-clickhouse-query-id"] == "mine"
    assert headers["x-clickhouse-timezone"]
    assert '"read_rows":"1"' in headers["x-clickhouse-summary"]
    _, headers, body = server.request("POST", b"SELECT 1 AS a FORMAT CSV", {"X-ClickHouse-Format": "JSON"})
    assert (headers["x-clickhouse-format"], body) == ("CSV", b"1\n")


def test_parameters_arrive_as_their_types_and_never_as_sql(client: Client) -> None:
    nasty = 'it\'s\t"q" \\ `b`\n{h:UInt32} ; DROP'
    got = client.query(
        "SELECT {s:String}, {a:Array(UInt32)}, {d:DateTime64(3)}, {n:Nullable(String)}",
        parameters={"s": nasty, "a": [1, 2**32 - 1], "d": NOON, "n": None},
    )
    assert got.first_row == (nasty, [1, 2**32 - 1], NOON, None)
    with pytest.raises(DatabaseError) as refused:
        client.query("SELECT {a:UInt32}", parameters={"a": "1) OR (1"})
    assert refused.value.code == 457


def test_parameters_reach_an_insert_with_data(server: Server, client: Client, table: str) -> None:
    query = "INSERT INTO {into:Identifier} (id) FORMAT CSV"
    assert server.request("POST", b"8\n", query=query, param_into="t")[0] == 200
    assert client.command("SELECT sum(id) FROM t") == 8


@pytest.fixture(scope="module")
def hashes(client: Client) -> list[int]:
    """20,000 of the million keys of the table `lookup`, whose granules hold 256 rows."""
    client.command(
        "CREATE TABLE lookup (h UInt32, v UInt64) ENGINE = MergeTree ORDER BY h SETTINGS index_granularity = 256"
    )
    client.command("INSERT INTO lookup SELECT intHash32(number), number FROM numbers(1000000)")
    return [row[0] for row in client.query("SELECT h FROM lookup WHERE v < 20000").result_rows]


def test_twenty_thousand_keys_look_up_alike_as_a_parameter_and_as_an_external_table(
    client: Client, hashes: list[int]
) -> None:
    by_parameter = client.query(
        "SELECT count(), sum(v) FROM lookup WHERE h IN (SELECT arrayJoin({h:Array(UInt32)}))", parameters={"h": hashes}
    )
    by_table = client.query(
        "SELECT count(), sum(v) FROM lookup WHERE h IN (SELECT h FROM keys)", external_data=keys(hashes)
    )
    assert by_parameter.first_row == by_table.first_row
    assert by_table.result_rows[0][0] >= 20000


def test_a_look_up_by_external_table_reads_the_primary_key(client: Client, hashes: list[int]) -> None:
    plan = client.query(
        "EXPLAIN indexes = 1 SELECT v FROM lookup WHERE h IN (SELECT h FROM keys)", external_data=keys(hashes[:3])
    )
    lines = [str(row[0]).strip() for row in plan.result_rows]
    assert "PrimaryKey" in lines
    read, _, of = next(line for line in reversed(lines) if line.startswith("Granules: ")).split()[1].partition("/")
    assert int(read) <= 6
    assert int(of) > 3000


def keys(hashes: list[int]) -> ExternalData:
    packed = struct.pack(f"<{len(hashes)}I", *hashes)
    return ExternalData(file_name="keys", fmt="RowBinary", structure="h UInt32", data=packed)


def test_external_tables_take_types_and_vanish_with_their_query(client: Client) -> None:
    data = ExternalData(file_name="pairs", fmt="CSV", types=["UInt8", "Decimal(9, 2)"], data=b"1,2.50\n2,3.25\n")
    assert str(client.query("SELECT sum(_1 * _2) FROM pairs", external_data=data).result_rows[0][0]) == "9.00"
    with pytest.raises(DatabaseError) as gone:
        client.query("SELECT * FROM pairs")
    assert gone.value.code == 60


@pytest.mark.parametrize(
    ("statement", "status", "code"),
    [
        ("SELEC 1", 400, 62),
        ("SELECT * FROM missing", 404, 60),
        ("INSERT INTO missing FORMAT CSV\n1", 404, 60),
        ("SELECT throwIf(1)", 500, 395),
        ("SELECT 1 FORMAT Nope", 404, 73),
        ('INSERT INTO t (id) FORMAT JSONEachRow\n{"id":"abc"}', 400, 27),
        ("INSERT INTO t (id) SELECT x FROM input('x UInt8') FORMAT CSV\n1", 501, 48),
    ],
)
@pytest.mark.usefixtures("table")
def test_an_error_has_the_servers_status_code_and_text(server: Server, statement: str, status: int, code: int) -> None:
    got, headers, body = server.request("POST", statement.encode())
    assert (got, headers["x-clickhouse-exception-code"]) == (status, str(code))
    assert body.startswith(f"Code: {code}. DB::Exception: ".encode())


def test_an_unknown_setting_is_named(server: Server) -> None:
    status, headers, body = server.request("POST", b"SELECT 1", no_such_setting="1")
    assert (status, headers["x-clickhouse-exception-code"]) == (404, "115")
    assert b"no_such_setting" in body


def test_a_setting_lasts_for_one_statement(server: Server, client: Client, table: str) -> None:
    block = "SELECT getSetting('max_block_size')"
    before = server.request("POST", block.encode())[2]
    assert server.request("POST", block.encode(), max_block_size="777")[2] == b"777\n"
    assert server.request("POST", b"9,x\n", query="INSERT INTO t (id, name) FORMAT CSV", max_block_size="778")[0] == 200
    assert server.request("POST", b"CREATE OR REPLACE VIEW vv AS SELECT 1", max_block_size="779")[0] == 200
    server.request("POST", b"SET max_block_size = 780")
    server.request("POST", b"SELEC", max_block_size="781")
    assert {server.request("POST", block.encode())[2] for _ in range(20)} == {before}


def test_the_settings_clients_send_per_query_are_obeyed(client: Client) -> None:
    settings = {"max_query_size": 40, "log_comment": "it's", "async_insert": 0}
    assert client.query("SELECT getSetting('log_comment')", settings={"log_comment": "it's"}).first_row == ("it's",)
    with pytest.raises(DatabaseError) as too_long:
        client.command(f"SELECT '{'x' * 100}'", settings=settings)
    assert too_long.value.code == 62


def test_a_statement_that_is_asked_a_few_times_is_not_compiled(client: Client) -> None:
    compiled = "SELECT sum(value) FROM system.events WHERE event = 'CompileFunction'"
    before = client.command(compiled)
    for _ in range(6):
        client.query(
            "SELECT number % 3 AS k, sum(number * 2 + 1), max(number) FROM numbers(1000) GROUP BY k ORDER BY k"
        )
    assert client.command(compiled) == before


def test_the_database_lasts_for_one_statement(server: Server) -> None:
    server.request("POST", b"CREATE DATABASE IF NOT EXISTS `o'dd`")
    assert server.request("POST", b"SELECT currentDatabase()", database="o'dd")[2] == b"o\\'dd\n"
    assert server.request("POST", b"SELECT currentDatabase()")[2] == b"default\n"
    status, headers, _ = server.request("POST", b"SELECT 1", database="missing")
    assert (status, headers["x-clickhouse-exception-code"]) == (404, "81")


def test_a_statement_in_the_address_is_as_long_as_a_server_takes_and_no_longer(server: Server) -> None:
    query = "SELECT length({text:String})"
    status, _, answer = server.request("GET", query=query, param_text="a" * 1_000_000)
    assert (status, answer) == (200, b"1000000\n")
    status, _, answer = server.request("GET", query=query, param_text="a" * 1_100_000)
    assert status == 414
    assert b"1048576" in answer


def test_get_reads_and_never_writes(server: Server) -> None:
    status, headers, _ = server.request("GET", query="CREATE TABLE forbidden (a Int8) ENGINE = Memory")
    assert (status, headers["x-clickhouse-exception-code"]) == (500, "164")
    assert server.request("GET", query="EXISTS forbidden")[2] == b"0\n"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://page.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "a.example"},
    ],
)
def test_a_web_page_cannot_run_sql(server: Server, headers: dict[str, str]) -> None:
    assert server.request("POST", b"SELECT 1", headers)[0] == 403


def test_a_deduplication_token_stores_a_batch_once(client: Client) -> None:
    client.command(
        "CREATE TABLE once (a UInt8) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100"
    )
    for token in ("one", "one", "two"):
        client.insert("once", [[1]], ["a"], settings={"insert_deduplication_token": token, "async_insert": 0})
    assert client.command("SELECT count() FROM once") == 2


def test_a_failed_insert_stores_nothing(server: Server, client: Client, table: str) -> None:
    status, _, _ = server.request("POST", b"1,a\nbroken,b\n", query="INSERT INTO t (id, name) FORMAT CSV")
    assert status == 400
    assert client.command("SELECT count() FROM t") == 0


@pytest.mark.parametrize(
    ("obstacle", "code"),
    [
        ("ALTER TABLE t MODIFY SETTING max_parts_in_total = 1", 252),
        ("ALTER TABLE t ADD CONSTRAINT small CHECK id < 2", 469),
        ("CREATE MATERIALIZED VIEW seen ENGINE = Memory AS SELECT throwIf(id = 2) AS never FROM t", 395),
    ],
)
def test_rows_that_cannot_be_written_are_an_error_and_not_lost_in_silence(
    server: Server, client: Client, table: str, obstacle: str, code: int
) -> None:
    client.command("DROP TABLE IF EXISTS seen")
    client.insert(table, [[1]], column_names=["id"])
    client.command(obstacle)
    status, headers, _ = server.request("POST", b"2\n", query="INSERT INTO t (id) SETTINGS max_threads = 2 FORMAT CSV")
    assert (status, headers["x-clickhouse-exception-code"]) == (500, str(code))
    with pytest.raises(DatabaseError, match=f"Code: {code}"):
        client.insert_arrow(table, pa.table({"id": pa.array([2], pa.uint32())}))
    client.command("DROP TABLE IF EXISTS seen")


@pytest.mark.parametrize("name", ["settings", "format", "values"])
def test_a_table_may_be_named_as_a_keyword_is(server: Server, client: Client, name: str) -> None:
    client.command(f"CREATE TABLE IF NOT EXISTS default.{name} (id UInt32) ENGINE = Memory")
    for into in (f"default.{name}", f"TABLE default.{name}"):
        client.command(f"TRUNCATE TABLE default.{name}")
        status, _, answer = server.request("POST", b"2\n3\n", query=f"INSERT INTO {into} (id) FORMAT CSV")
        assert status == 200, answer
        assert client.query(f"SELECT id FROM default.{name} ORDER BY id").result_rows == [(2,), (3,)]
    client.command(f"DROP TABLE default.{name}")


def test_a_select_ends_when_its_client_leaves(server: Server, client: Client) -> None:
    slow = "SELECT sum(sleepEachRow({s:Float64})) FROM numbers(600) FORMAT Native"
    settings = "param_s=0.1&max_block_size=1"
    running = "SELECT count() FROM system.processes WHERE query LIKE '%numbers(600)%' AND query NOT LIKE '%processes%'"
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    access = {"X-ClickHouse-User": "default", "X-ClickHouse-Key": server.password}
    connection.request("POST", f"/?{settings}", slow.encode(), access)
    wait_until(lambda: client.command(running) == 1)
    connection.close()
    wait_until(lambda: client.command(running) == 0)


def test_inserts_and_short_reads_do_not_wait_for_long_ones(server: Server, client: Client, table: str) -> None:
    slow = (
        b"SELECT sleepEachRow(0.25) FROM numbers(12) SETTINGS max_block_size = 1, max_threads = 1, log_comment = 'slow'"
    )
    done: list[float] = []

    def read_slowly() -> None:
        server.request("POST", slow)
        done.append(time.monotonic())

    readers = [threading.Thread(target=read_slowly) for _ in range(6)]
    for reader in readers:
        reader.start()
    running = "SELECT count() FROM system.processes WHERE Settings['log_comment'] = 'slow'"
    wait_until(lambda: client.command(running) == 6)
    client.insert(table, rows(100), column_names=COLUMNS)
    assert client.command("SELECT count() FROM t") == 100
    finished = time.monotonic()
    for reader in readers:
        reader.join()
    assert len(done) == 6
    assert finished < min(done), "the insert came back while every slow read was still running"


async def test_the_async_client_does_what_the_sync_one_does(server: Server, table: str) -> None:
    client = await clickhouse_connect.get_async_client(
        host="127.0.0.1", port=server.port, username="default", password=server.password
    )
    try:
        assert (await client.insert(table, rows(10), column_names=COLUMNS)).written_rows == 10
        assert (await client.insert_arrow(table, pa.table({"id": pa.array([77], pa.uint32())}))).written_rows == 1
        wanted = await client.query(
            "SELECT count() FROM t WHERE id IN (SELECT arrayJoin({h:Array(UInt32)}))",
            parameters={"h": list(range(20000))},
        )
        assert wanted.first_row == (11,)
        joined = await client.query(
            "SELECT count() FROM t WHERE id IN (SELECT h FROM keys)", external_data=keys([1, 77])
        )
        assert joined.first_row == (2,)
        with pytest.raises(DatabaseError) as missing:
            await client.query("SELECT * FROM missing")
        assert missing.value.code == 60
    finally:
        await client.close()


def test_final_reads_through_a_view_use_indexes_and_stay_exact(client: Client) -> None:
    client.command(
        "CREATE TABLE latest (org String, now String, id UInt32, version UInt64, gone UInt8,"
        " INDEX by_now now TYPE bloom_filter GRANULARITY 1)"
        " ENGINE = ReplacingMergeTree(version, gone) ORDER BY (org, id) SETTINGS index_granularity = 256"
    )
    fill = (
        "INSERT INTO latest SELECT 'o' || toString(number % 40), {now:String}, number, {v:UInt64}, {gone:UInt8}"
        " FROM numbers({n:UInt32})"
    )
    client.command(fill, parameters={"now": "a", "v": 1, "gone": 0, "n": 20000})
    client.command(fill, parameters={"now": "b", "v": 2, "gone": 0, "n": 1000})
    client.command(fill, parameters={"now": "b", "v": 3, "gone": 1, "n": 100})
    client.command("CREATE VIEW current AS SELECT * FROM latest FINAL")
    assert client.command("SELECT count() FROM current") == 19900
    assert client.command("SELECT count() FROM current WHERE now = 'a'") == 19000, "replaced rows must stay replaced"
    assert client.command("SELECT count() FROM current WHERE now = 'b'") == 900
    plan = client.query("EXPLAIN indexes = 1 SELECT count() FROM current WHERE org = 'o1' AND now = 'b'")
    text = "\n".join(str(row[0]) for row in plan.result_rows)
    assert "PrimaryKey" in text
    assert "by_now" in text


def test_stored_rows_survive_kill_nine(tmp_path: Path) -> None:
    first = start(tmp_path)
    with first.client() as client:
        client.command("CREATE TABLE kept (a UInt32) ENGINE = MergeTree ORDER BY a")
        client.insert("kept", [[i] for i in range(1000)], ["a"])
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.communicate(timeout=30)
    second = start(tmp_path)
    with second.client() as client:
        assert client.command("SELECT count(), sum(a) FROM kept") == ["1000", "499500"]
    assert stop(second)[0] == 0


def test_a_second_process_on_the_same_directory_is_refused_in_one_sentence(tmp_path: Path) -> None:
    first = start(tmp_path)
    refused = launch(tmp_path)
    out, err = refused.communicate(timeout=30)
    assert refused.returncode == 1
    assert (out, err.count("\n")) == ("", 1)
    assert f"{tmp_path} is in use by another ClickHouse process" in err
    assert stop(first)[0] == 0


def test_a_taken_port_and_an_unwritable_directory_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = launch(tmp_path / "data", port)
        _, err = refused.communicate(timeout=30)
    assert (refused.returncode, err.count("\n")) == (1, 1)
    assert f"cannot listen on 127.0.0.1:{port}" in err
    (tmp_path / "file").touch()
    refused = launch(tmp_path / "file" / "data")
    _, err = refused.communicate(timeout=30)
    assert (refused.returncode, err.count("\n")) == (1, 1)
    assert "cannot write to its data directory" in err


def test_sigterm_lets_a_running_statement_finish(tmp_path: Path) -> None:
    server = start(tmp_path)
    answers: list[tuple[int, bytes]] = []

    def read_slowly() -> None:
        status, _, body = server.request(
            "POST", b"SELECT sum(sleepEachRow(0.25)) FROM numbers(4) SETTINGS max_block_size = 1, log_comment = 'slow'"
        )
        answers.append((status, body))

    reader = threading.Thread(target=read_slowly)
    reader.start()
    running = b"SELECT count() FROM system.processes WHERE Settings['log_comment'] = 'slow'"
    wait_until(lambda: server.request("POST", running)[2] == b"1\n")
    code, _, err = stop(server)
    reader.join()
    assert answers == [(200, b"0\n")]
    assert (code, err) == (0, "")


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
