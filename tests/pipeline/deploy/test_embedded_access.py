"""Who may query the embedded ClickHouse, and that no statement of theirs reaches beyond its databases."""

import base64
import re
import socket
import stat
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from clickhouse_connect.driver.client import Client

from deploy.embedded.clickhouse_access import TEXT_SETTINGS
from deploy.embedded.clickhouse_inspection import DATABASE_ENGINES, FILE_FUNCTIONS, TABLE_ENGINES, TABLE_FUNCTIONS
from runtime.clickhouse_address import ADDRESS_FILE
from tests.pipeline.deploy.test_embedded_clickhouse import Server, start, stop

SECRET = "c4n4ry0f4f1le"
NUMBERS = {"Bool", "UInt64", "NonZeroUInt64", "Int64", "Float", "Double", "Seconds", "Milliseconds"}
"""Types of settings that hold no text."""
WRONG_ARGUMENTS = r"\((NUMBER_OF_ARGUMENTS_DOESNT_MATCH|TOO_FEW_ARGUMENTS_FOR_FUNCTION|ILLEGAL_TYPE_OF_ARGUMENT)\)"
"""How the engine says that a function takes something else than one text."""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("access") / "clickhouse"


@pytest.fixture(scope="module")
def server(data_dir: Path) -> Iterator[Server]:
    running = start(data_dir)
    yield running
    assert stop(running)[0] == 0


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    client = server.client()
    client.command("CREATE TABLE t (s String, n UInt64) ENGINE = MergeTree ORDER BY n")
    client.command("CREATE TABLE texts (s String) ENGINE = Memory")
    return client


@pytest.fixture(scope="module")
def secret_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the user that runs the engine."""
    file = tmp_path_factory.mktemp("home") / "secret.csv"
    file.write_text(f"{SECRET}\n")
    return file


@pytest.fixture(scope="module")
def outside() -> Iterator[tuple[int, list[str]]]:
    """A host that no statement may reach: its port, and what it was asked."""
    asked: list[str] = []

    class Noting(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            asked.append(str(self.client_address))
            self.close_connection = True

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Noting)
    Thread(target=listener.serve_forever, daemon=True).start()
    yield listener.server_port, asked
    listener.shutdown()


def ask(server: Server, statement: str, method: str = "POST", **parameters: str) -> tuple[int, str]:
    status, _, body = server.request(method, statement.encode(), **parameters)
    return status, body.decode(errors="replace")


def refused(server: Server, statement: str, **parameters: str) -> bool:
    """Whether it is refused for what it reaches, and not by chance."""
    status, text = ask(server, statement, **parameters)
    assert SECRET not in text, statement
    return status >= 400 and bool(
        re.search(r"\((ACCESS_DENIED|SETTING_CONSTRAINT_VIOLATION|SYNTAX_ERROR|SUPPORT_IS_DISABLED)\)", text)
    )


# Who may ask.


def login(server: Server, headers: dict[str, str], query: str = "query=SELECT+1") -> int:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", f"/?{query}", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def basic(text: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


def test_the_password_is_taken_in_every_way_of_clickhouse_and_no_other_is(server: Server) -> None:
    good = server.password
    assert login(server, basic(f"default:{good}")) == 200
    assert login(server, {"X-ClickHouse-User": "default", "X-ClickHouse-Key": good}) == 200
    assert login(server, {"X-ClickHouse-Key": good}) == 200
    assert login(server, {}, f"user=default&password={good}&query=SELECT+1") == 200
    assert login(server, {}) == login(server, {}, "") == 401
    wrong = ("", good[:-1], f"{good}x", good.swapcase())
    assert {login(server, basic(f"default:{each}")) for each in wrong} == {403}
    assert {login(server, {"X-ClickHouse-Key": each}) for each in wrong} == {403}
    assert {login(server, {}, f"password={each}&query=SELECT+1") for each in wrong} == {403}
    assert login(server, basic(f"other:{good}")) == login(server, basic(good)) == 403
    assert login(server, {"Authorization": f"Bearer {good}"}) == login(server, {"Authorization": "Basic ?"}) == 403
    assert login(server, basic(f"default:{good}"), "password=x&query=SELECT+1") == 403


def test_the_password_is_kept_for_its_owner_alone_and_stays(server: Server, data_dir: Path) -> None:
    file = data_dir / ADDRESS_FILE
    assert file.read_text() == f"http://default:{server.password}@127.0.0.1:{server.port}\n"
    modes = {
        path: stat.S_IMODE(path.lstat().st_mode) for path in (data_dir, *data_dir.rglob("*")) if not path.is_symlink()
    }
    assert {path for path, mode in modes.items() if mode & 0o077} == set()
    commands = [*Path("/proc").glob("[0-9]*/cmdline")]
    assert [each for each in commands if each.exists() and server.password.encode() in each.read_bytes()] == []


def test_every_request_has_an_answer_whatever_it_asks_to_be_or_to_be_called(server: Server) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "a"}
    assert login(server, upgrade) == 401
    own = basic(f"default:{server.password}")
    assert login(server, own, "query=SELECT+1&query_id=a%0d%0ab%01") == 200
    assert login(server, own, "query=SELECT+1&session_timezone=UTC%0d%0ab") >= 400


def test_clients_that_ask_nothing_keep_no_other_out(server: Server) -> None:
    idle = [socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in range(510)]
    try:
        assert login(server, basic(f"default:{server.password}")) == 200
        assert [each.recv(1) for each in idle[:10]] == [b""] * 10
    finally:
        for each in idle:
            each.close()


# What a statement may reach.


@pytest.mark.usefixtures("client")
def test_every_clause_that_reads_or_writes_a_file_is_refused(server: Server, secret_file: Path, tmp_path: Path) -> None:
    file, new = str(secret_file), tmp_path / "written"
    statements = [
        f"SELECT * FROM file('{file}', 'LineAsString')",
        f"INSERT INTO FUNCTION file('{new}', 'CSV', 's String') SELECT 'x'",
        f"SELECT 1 INTO OUTFILE '{new}'",
        f"SELECT 1 INTO OUTFILE '{new}' FORMAT CSV SETTINGS max_threads = 1",
        f"EXPLAIN SELECT 1 INTO OUTFILE '{new}'",
        f"DESCRIBE TABLE t INTO OUTFILE '{new}'",
        f"SHOW TABLES INTO OUTFILE '{new}'",
        f"SHOW CREATE TABLE t INTO OUTFILE '{new}'",
        f"EXISTS TABLE t INTO OUTFILE '{new}'",
        f"INSERT INTO texts FROM INFILE '{file}' FORMAT LineAsString",
        f"INSERT INTO texts FROM INFILE '{file}' COMPRESSION 'none' SETTINGS max_threads = 1 FORMAT LineAsString",
        f"SELECT 1; SELECT 1 INTO OUTFILE '{new}'",
        f"SELECT 1 -- \n INTO /* */ OUTFILE '{new}'",
        f"SELECT file('{file}')",
        f"SELECT `file`('{file}')",
        f"SELECT arrayMap(file, ['{file}'])",
        f"WITH file AS f SELECT arrayMap(f, ['{file}'])",
        f"WITH (x -> file(x)) AS f SELECT f('{file}')",
        f"SELECT COLUMNS('p') APPLY file FROM (SELECT '{file}' AS p)",
        f"SELECT COLUMNS('p') APPLY (x -> file(x)) FROM (SELECT '{file}' AS p)",
        f"SELECT structureToCapnProtoSchema('a UInt64 DEFAULT toUInt64(file(\\'{file}\\'))')",
        f"SELECT * FROM format(Values, 's String', '(file(\\'{file}\\'))')",
        f"SELECT * FROM format(JSONEachRow, 's String DEFAULT file(\\'{file}\\')', '{{}}')",
        f"SELECT * FROM generateRandom('s UInt64 DEFAULT toUInt64(file(\\'{file}\\'))') LIMIT 1",
        f"INSERT INTO texts VALUES (file('{file}'))",
        f"INSERT INTO texts VALUES (concat(file('{file}'), ''))",
        f"INSERT INTO texts FORMAT Values (file('{file}'))",
        f"CREATE TABLE f (s String DEFAULT file('{file}')) ENGINE = Memory",
        f"CREATE VIEW f AS SELECT file('{file}')",
        f"ALTER TABLE t UPDATE s = file('{file}') WHERE 1",
        f"ALTER TABLE t DELETE WHERE s = file('{file}')",
        f"DELETE FROM t WHERE s = file('{file}')",
        f"DESCRIBE (SELECT throwIf(1, file('{file}')))",
        f"EXPLAIN SELECT file('{file}')",
        f"SELECT 1 SETTINGS additional_result_filter = 'throwIf(1, file(\\'{file}\\'))'",
        f"SELECT * FROM t SETTINGS additional_table_filters = {{'t': 'throwIf(1, file(\\'{file}\\'))'}}",
        f"SELECT 's' AS s FORMAT Template SETTINGS format_template_row = '{file}'",
        f"SELECT 's' AS s SETTINGS format_schema = '{file}:M' FORMAT Protobuf",
        f"SET format_template_row = '{file}'",
        f"SELECT 1 SETTINGS input_format_record_errors_file_path = '{new}'",
        "SELECT 1 SETTINGS dialect = 'kusto'",
        f"CREATE TABLE f (s String) ENGINE = File(CSV, '{file}')",
        f"CREATE TABLE f AS file('{file}', 'CSV', 's String')",
        f"CREATE TEMPORARY TABLE f (s String) ENGINE = File(CSV, '{file}')",
        f"CREATE TABLE f (n UInt8) ENGINE = MergeTree ORDER BY n SETTINGS disk = disk(type = 'local', path = '{new}/')",
        f"ALTER TABLE t MODIFY SETTING disk = disk(type = 'local', path = '{tmp_path}/')",
        f"ATTACH TABLE f FROM '{secret_file.parent}' (n UInt8) ENGINE = MergeTree ORDER BY n",
        "ATTACH TABLE f FROM 'store' (n UInt8) ENGINE = MergeTree ORDER BY n",
        f"BACKUP TABLE t TO File('{new}')",
        f"RESTORE TABLE t FROM File('{file}')",
        f"CREATE DATABASE f ENGINE = Filesystem('{secret_file.parent}')",
        f"CREATE DATABASE f ENGINE = Backup('default', File('{file}'))",
        "CREATE FUNCTION f AS x -> file(x)",
        "CREATE NAMED COLLECTION f AS url = 'http://127.0.0.1/'",
        "CREATE USER f",
        "GRANT ALL ON *.* TO default",
        "EXECUTE AS default SELECT 1",
        "SYSTEM SHUTDOWN",
        "SYSTEM RELOAD CONFIG",
        "SYSTEM STOP MERGES",
        "CREATE RESOURCE f (WRITE ANY DISK)",
    ]
    assert [each for each in statements if not refused(server, each)] == []
    assert refused(server, f"SELECT arrayMap({{f:Identifier}}, ['{file}'])", param_f="file")
    assert refused(server, f"SELECT arrayMap({{f:Identifier}}, ['{file}'])", param_f="f\\x69le")
    assert refused(server, "SELECT 1", format_schema=file)
    assert refused(server, "SELECT 1", dialect="prql")
    assert ask(server, "SELECT count() FROM texts") == (200, "0\n")
    ask(server, f"INSERT INTO texts VALUES ('a'); SELECT 1 INTO OUTFILE '{new}'")
    assert not new.exists()
    assert list(tmp_path.iterdir()) == []
    status, text = ask(server, f'SELECT * FROM "{file}"')
    assert (status, SECRET in text, "(UNKNOWN_TABLE)" in text) == (404, False, True)


@pytest.mark.usefixtures("client")
def test_an_external_table_is_no_way_around(server: Server, secret_file: Path) -> None:
    path = str(secret_file)

    def with_table(structure: str, form: str, rows: str) -> tuple[int, str]:
        parts = {"query": "SELECT * FROM x", "x_structure": structure, "x_format": form}
        body = "".join(
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in parts.items()
        )
        body += f'--b\r\nContent-Disposition: form-data; name="x"; filename="x"\r\n\r\n{rows}\r\n--b--\r\n'
        status, _, answer = server.request("POST", body.encode(), {"Content-Type": "multipart/form-data; boundary=b"})
        return status, answer.decode()

    assert with_table("s String", "CSV", "good") == (200, "good\n")
    for each in (
        ("s String) ENGINE = File(CSV, '" + path + "') --", "CSV", "x"),
        (f"s String, t String DEFAULT file('{path}')", "JSONEachRow", '{"s": "x"}'),
        ("s String", "Values", f"(file('{path}'))"),
        ("s String", "CSV SETTINGS format_schema = 'x'", "x"),
    ):
        status, answer = with_table(*each)
        assert (status >= 400, SECRET in answer) == (True, False), (each, answer)


@pytest.mark.usefixtures("client")
def test_every_table_function_that_is_not_listed_is_refused(
    server: Server, secret_file: Path, outside: tuple[int, list[str]]
) -> None:
    port, asked = outside
    known = {name for (name,) in rows(server, "SELECT name FROM system.table_functions")}
    assert {name.lower() for name in known} >= TABLE_FUNCTIONS - {"mergetreetextindex", "one"}
    tried = {name for name in known if name.lower() not in TABLE_FUNCTIONS}
    assert len(tried) > 70
    file, *others = (
        f"'{secret_file}', 'LineAsString', 's String'",
        f"'http://127.0.0.1:{port}/b/x.csv', 'CSV', 's String'",
        f"'127.0.0.1:{port}', 'd', 't', 'u', 'p'",
        f"'127.0.0.1:{port}', system.one",
    )
    for name in sorted(tried):
        for statement in (
            f"SELECT * FROM {name}({file})",
            f"DESCRIBE TABLE {name}({file})",
            f"INSERT INTO FUNCTION {name}({file}) SELECT 1",
            f"CREATE TABLE made AS {name}({file})",
            f"SELECT * FROM view(SELECT * FROM {name}({file}))",
            *(f"SELECT * FROM {name}({given})" for given in others),
        ):
            assert refused(server, statement), statement
    assert asked == []


@pytest.mark.usefixtures("client")
def test_every_engine_that_is_not_listed_is_refused(
    server: Server, secret_file: Path, outside: tuple[int, list[str]]
) -> None:
    port, asked = outside
    tables = {name for (name,) in rows(server, "SELECT name FROM system.table_engines")}
    databases = {name for (name,) in rows(server, "SELECT name FROM system.database_engines")}
    assert tables > TABLE_ENGINES
    assert databases > DATABASE_ENGINES
    file, *others = (
        f"CSV, '{secret_file}'",
        f"'http://127.0.0.1:{port}/x.csv', CSV",
        f"'127.0.0.1:{port}', 'd', 't', 'u', 'p'",
    )
    for engine in sorted(tables - TABLE_ENGINES):
        for statement in (
            *(f"CREATE TABLE made (s String) ENGINE = {engine}({given})" for given in (file, *others)),
            f"CREATE TEMPORARY TABLE made (s String) ENGINE = {engine}({file})",
            f"CREATE MATERIALIZED VIEW made ENGINE = {engine}({file}) AS SELECT 's' AS s",
        ):
            assert refused(server, statement), statement
    for given in (file, *others):
        for engine in sorted(databases - DATABASE_ENGINES):
            assert refused(server, f"CREATE DATABASE made ENGINE = {engine}({given})"), engine
    assert asked == []


@pytest.mark.usefixtures("client")
def test_no_source_of_a_dictionary_and_no_disk_is_reached(
    server: Server, secret_file: Path, outside: tuple[int, list[str]]
) -> None:
    port, asked = outside
    for source in (
        *(f"FILE(path '{secret_file}' format 'CSV')", "EXECUTABLE(command 'id' format 'CSV')", "NULL()"),
        f"HTTP(url 'http://127.0.0.1:{port}/' format 'CSV')",
        f"CLICKHOUSE(host '127.0.0.1' port {port} table 'x')",
        *("CLICKHOUSE(table 't')", f"CLICKHOUSE(query 'SELECT file(\\'{secret_file}\\')')"),
        *(
            f"{each}(host '127.0.0.1' port {port} user 'u' password 'p' db 'd' table 't')"
            for each in ("MYSQL", "POSTGRESQL", "MONGODB", "REDIS", "CASSANDRA", "ODBC", "YTSAURUS")
        ),
    ):
        given = f"(n UInt64, s String) PRIMARY KEY n SOURCE({source}) LAYOUT(FLAT()) LIFETIME(0)"
        for kind in ("DICTIONARY", "OR REPLACE DICTIONARY", "DICTIONARY IF NOT EXISTS"):
            assert refused(server, f"CREATE {kind} made {given}"), source
    for disk in (
        f"disk(type = 'web', endpoint = 'http://127.0.0.1:{port}/x/')",
        f"disk(type = 's3_plain', endpoint = 'http://127.0.0.1:{port}/bucket/', access_key_id = 'a')",
        f"disk(type = 'cache', path = '{secret_file.parent}/', disk = 'default', max_size = '1Mi')",
    ):
        create = f"CREATE TABLE made (n UInt8) ENGINE = MergeTree ORDER BY n SETTINGS disk = {disk}"
        assert refused(server, create), disk
        assert refused(server, f"ALTER TABLE t MODIFY SETTING disk = {disk}"), disk
    assert asked == []


@pytest.mark.usefixtures("client")
def test_no_function_of_the_engine_tells_what_is_in_a_file(server: Server, secret_file: Path) -> None:
    """Each is called with a path and with SQL that reads one, also with the latter alone where it takes one text and
    may have failed at the path; a later engine's are too."""
    names = [name for (name,) in rows(server, "SELECT name FROM system.functions WHERE NOT is_aggregate")]
    assert len(names) > 1000
    assert set(names) > FILE_FUNCTIONS
    sql = f"a UInt64 DEFAULT toUInt64(file(\\'{secret_file}\\'))"
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    for name in sorted({*names} - {"sleep", "sleepEachRow"}):
        for columns in (f"`{name}`('{secret_file}'), `{name}`('{sql}')", f"`{name}`('{sql}')"):
            connection.request("POST", "/", f"SELECT {columns}".encode(), {"X-ClickHouse-Key": server.password})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
            assert SECRET not in text, name
            assert name not in FILE_FUNCTIONS or "(ACCESS_DENIED)" in text, name
            if answer.status == 200 or re.search(WRONG_ARGUMENTS, text):
                break
    connection.close()


def test_every_setting_that_takes_any_text_is_fixed_or_listed(server: Server, client: Client) -> None:
    """Nine of ten settings are of a few types that take numbers alone: of these, one of each type is asked."""
    changeable = rows(server, "SELECT name, type FROM system.settings WHERE NOT readonly")
    of_numbers = {kind: name for name, kind in changeable if kind in NUMBERS}
    assert of_numbers.keys() == NUMBERS
    taken = set()
    for name in (*of_numbers.values(), *(name for name, kind in changeable if kind not in NUMBERS)):
        status, text = ask(server, f"SET {name} = '/etc/hostname'")
        if status == 200:
            taken.add(name)
        assert "hostname:" not in text
    assert taken - TEXT_SETTINGS == set()
    del client


def test_get_only_reads_whatever_its_parameters_say(server: Server, client: Client) -> None:
    client.command("CREATE TABLE stays (n UInt8) ENGINE = Memory")
    statements = (
        "DROP TABLE stays",
        "INSERT INTO stays VALUES (1)",
        "INSERT INTO stays SELECT 1",
        "INSERT INTO stays SELECT 1 SETTINGS readonly = 0",
        "CREATE TABLE other (n UInt8) ENGINE = Memory",
        "ALTER TABLE stays DELETE WHERE 1 SETTINGS readonly = 0",
        "TRUNCATE TABLE stays",
        "SET readonly = 0; DROP TABLE stays",
        "SELECT 1; DROP TABLE stays",
        "SELECT 1 SETTINGS readonly = 0",
        "SET readonly = 0",
        "KILL QUERY WHERE 1",
        "KILL MUTATION WHERE 1",
    )
    for readonly in ("", "0", "00", "0x0", " 0", "+0", "1", "01", "2", "3", "false", "-0"):
        for statement in statements:
            for method in ("GET", "HEAD"):
                status, _, _ = server.request(method, query=statement, **({"readonly": readonly} if readonly else {}))
                assert status >= 400, (method, statement, readonly)
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    twice = "/?readonly=2&readonly=0&readonly=0&query=DROP%20TABLE%20stays"
    connection.request("GET", twice, headers={"X-ClickHouse-Key": server.password})
    assert connection.getresponse().status >= 400
    connection.close()
    assert server.request("GET", query="SELECT count() FROM stays")[2] == b"0\n"


def test_the_engines_own_databases_are_read_and_never_changed(server: Server, client: Client) -> None:
    for database in ("system", "INFORMATION_SCHEMA", "information_schema"):
        for statement in (
            f"DROP DATABASE {database}",
            f"DROP TABLE {database}.tables",
            f"CREATE TABLE {database}.made (n UInt8) ENGINE = Memory",
            f"CREATE VIEW {database}.made AS SELECT 1",
            f"RENAME TABLE {database}.tables TO tables",
            f"TRUNCATE TABLE {database}.tables",
            f"INSERT INTO {database}.tables SELECT * FROM {database}.tables",
            f"ALTER TABLE {database}.tables ADD COLUMN n UInt8",
            f"ALTER TABLE {database}.tables DELETE WHERE 1",
        ):
            assert refused(server, statement), statement
    for statement in (
        "ALTER TABLE t FREEZE",
        "ALTER TABLE t FREEZE WITH NAME 'a'",
        "ALTER TABLE t UNFREEZE WITH NAME 'a'",
    ):
        assert refused(server, statement), statement
    assert client.command("SELECT count() > 0 FROM system.tables WHERE database = 'INFORMATION_SCHEMA'")


def test_what_feedback_needs_goes_on(server: Server, client: Client) -> None:
    client.command("CREATE DATABASE own")
    client.command(
        "CREATE TABLE own.a (n UInt64, s String, INDEX i s TYPE minmax) ENGINE = ReplacingMergeTree ORDER BY n"
    )
    client.command("CREATE MATERIALIZED VIEW own.v ENGINE = MergeTree ORDER BY n AS SELECT n FROM own.a")
    client.insert("own.a", [[1, "it's"], [2, "x"]], ["n", "s"])
    client.command("INSERT INTO own.a VALUES (3, 'y'), (4, NULL), (5, DEFAULT)")
    client.command("INSERT INTO own.a SELECT number, toString(number) FROM numbers(10, 5)")
    client.command("ALTER TABLE own.a UPDATE s = 'z' WHERE n = 3 SETTINGS mutations_sync = 2")
    client.command("OPTIMIZE TABLE own.a FINAL")
    assert client.query("SELECT count(), max(s) FROM own.a FINAL").result_rows == [(10, "z")]
    assert client.command("SELECT count() FROM own.v") == 10
    assert client.query("DESCRIBE TABLE own.a").column_names[0] == "name"
    assert client.command("EXISTS TABLE own.a") == 1
    assert ask(server, "SELECT 'file' AS name, t.s FROM t, (SELECT 1) AS one WHERE name = 'file'")[0] == 200
    client.command("RENAME TABLE own.a TO own.b")
    client.command("DROP DATABASE own")


def rows(server: Server, statement: str) -> list[tuple[str, ...]]:
    status, text = ask(server, f"{statement} FORMAT TSVRaw")
    assert status == 200, text
    return [tuple(line.split("\t")) for line in text.splitlines()]
