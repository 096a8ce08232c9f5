"""The embedded ClickHouse front sends a large result while it is made: in flat memory, and never cut short unseen."""

import io
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from pathlib import Path
from urllib.parse import urlencode

import pyarrow.parquet as pq
import pytest

from deploy.embedded.clickhouse_address import keep_address, password_of
from deploy.kafka.broker import free_ports
from tests.pipeline.engines import Process, clickhouse_process, until

WIDE = "SELECT number, repeat('x', 1000) AS text FROM numbers({rows:UInt64})"
SUM = "SELECT sum(sipHash64(number)) FROM numbers({rows:UInt64})"


class Front:
    def __init__(self, port: int, process: Process, password: str) -> None:
        self.port, self.process, self.password = port, process, password

    def ask(self, query: str, **parameters: object) -> HTTPResponse:
        """The open answer to a SELECT that is to be streamed."""
        return self.send(query, **parameters).getresponse()

    def send(self, query: str, **parameters: object) -> HTTPConnection:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        given = {"wait_end_of_query": "0", **parameters}
        connection.request("POST", f"/?{urlencode(given)}", query.encode(), {"X-ClickHouse-Key": self.password})
        return connection

    def peak_megabytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) // 1024

    def statements_running(self) -> int:
        return int(self.ask("SELECT count() FROM system.processes").read()) - 1


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    (port,) = free_ports(1)
    folder = tmp_path_factory.mktemp("stream") / "clickhouse"
    with clickhouse_process(folder, port) as process:
        yield Front(port, process, password_of(keep_address(folder, "127.0.0.1", port)))


# Of bytes that JSON takes as they are, and of any, which Parquet cannot make fewer.
@pytest.mark.parametrize(("form", "text"), [("JSONEachRow", "randomPrintableASCII"), ("Parquet", "randomString")])
def test_a_large_result_is_streamed_in_flat_memory(front: Front, form: str, text: str) -> None:
    settings = {"max_block_size": 8192, "max_threads": 1, "output_format_parquet_parallel_encoding": 0}
    settings["output_format_parquet_row_group_size"] = 10_000
    query = f"SELECT number, {text}(1000) AS text FROM numbers({{rows:UInt64}}) FORMAT {form}"
    front.ask(query, param_rows=50_000, **settings).read()
    before = front.peak_megabytes()
    answer = front.ask(query, param_rows=250_000, **settings)
    read = 0
    while piece := answer.read(1 << 20):
        read += len(piece)
    assert read > 250_000_000
    assert front.peak_megabytes() - before < 150


@pytest.mark.parametrize("name", ["in the statement", "by default"])
def test_a_streamed_answer_is_one_whole_file_in_the_format_asked_for(front: Front, name: str) -> None:
    query = "SELECT number, {text:String} AS text FROM numbers(200000) -- a comment"
    given = {"param_text": "it's a \\\\ b", "default_format": "Parquet"}
    answer = front.ask(query + ("\nFORMAT Parquet;" if name == "in the statement" else ""), **given)
    assert answer.status == 200
    assert answer.headers["X-ClickHouse-Format"] == "Parquet"
    table = pq.read_table(io.BytesIO(answer.read()))
    assert table.column("number").to_pylist() == list(range(200_000))
    assert set(table.column("text").to_pylist()) == {"it's a \\ b"}


def test_answers_that_are_streamed_side_by_side_are_each_whole(front: Front) -> None:
    whole = "".join(f"{number}\n" for number in range(1000)).encode()
    with ThreadPoolExecutor(4) as threads:
        answers = threads.map(lambda _: front.ask("SELECT number FROM numbers(1000)").read(), range(600))
        assert all(answer == whole for answer in answers)


def test_settings_reach_a_streamed_statement(front: Front) -> None:
    answer = front.ask("SELECT toDecimal32('0.5', 3) AS x FORMAT JSONEachRow", output_format_decimal_trailing_zeros=1)
    assert json.loads(answer.read(), parse_float=str) == {"x": "0.500"}
    assert front.ask("SELECT 1 WHERE 0 FORMAT JSONEachRow").read() == b""


def test_an_error_before_the_first_byte_is_a_status(front: Front) -> None:
    answer = front.ask("SELECT nothing FROM nowhere")
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (404, "60")
    assert b"UNKNOWN_TABLE" in answer.read()


def test_an_error_in_the_middle_breaks_the_answer_off(front: Front) -> None:
    query = "SELECT throwIf(number = 900000), repeat('x', 100) FROM numbers(1000000)"
    with pytest.raises(IncompleteRead):
        front.ask(query, max_block_size=1000, max_threads=1).read()


@pytest.mark.parametrize(
    ("query", "settings"),
    [
        pytest.param(WIDE, {}, id="while it is sent"),
        pytest.param(SUM, {}, id="before the first byte"),
        pytest.param(SUM, {"min_count_to_compile_expression": 0}, id="while it is compiled"),
    ],
)
def test_a_reader_who_leaves_ends_the_statement(front: Front, query: str, settings: dict[str, int]) -> None:
    connection = front.send(query, param_rows=1_000_000_000_000, **settings)
    if query == WIDE:
        connection.getresponse().read(1000)
    else:
        until(lambda: front.statements_running() == 1, "it runs")
    connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()
    until(lambda: front.statements_running() == 0, "the statement has ended", 30)
