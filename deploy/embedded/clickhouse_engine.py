"""chDB, the ClickHouse engine in this process, as something many threads can run statements on.

Every statement gets a connection of its own (opening one costs a fifth of a millisecond), so its settings,
parameters, current database and external tables die with it, and no two threads ever share one. One process holds
one data directory: a lock file keeps a second one out and falls with the process, however it ends. SET and
temporary tables do not outlive their request: there are no sessions.
"""

import errno
import fcntl
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import IO, Any

from deploy.embedded.clickhouse_inspector import Inspector
from deploy.embedded.clickhouse_sql import from_file
from deploy.embedded.clickhouse_start import connect, open_engine
from deploy.embedded.clickhouse_statement import Statement, into_file

_SETTING_NAME = re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)
_ERROR = re.compile(r"Code: (\d+)\. DB::Exception: .*", re.DOTALL)
_ERROR_NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)(?: \(version [^)]*\))?\s*\Z")


class EngineUnavailableError(RuntimeError):
    """The data directory cannot be opened; the message says why and what to do."""


class StatementFailedError(RuntimeError):
    """The engine refused or failed a statement: ClickHouse's error code, its name and its text."""

    def __init__(self, message: str) -> None:
        found = _ERROR.search(message)
        text = found[0].strip() if found else f"Code: 1001. DB::Exception: {message.strip()} (STD_EXCEPTION)"
        super().__init__(text)
        name = _ERROR_NAME.search(text)
        self.code = int(found[1]) if found else 1001
        self.name = name[1] if name else ""


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement gave: the encoded rows, and the counts a server sends as its summary."""

    data: memoryview
    summary: Mapping[str, str]
    holder: Any = None  # keeps the engine's buffer behind `data` alive


class Engine:
    """One data directory, open. `run` may be called from any number of threads at once."""

    def __init__(self, data_dir: Path) -> None:
        """Opens the directory, making it if need be. Raises EngineUnavailableError."""
        self._lock = _lock(data_dir)
        self._path = str(data_dir.resolve())
        try:
            self._keeper = open_engine(Path(self._path))
            self._inspector = Inspector(connect(self._path))
            self.timezone = self._keeper.query("SELECT timezone()", "TSVRaw").bytes().decode().strip()
        except RuntimeError as error:
            self._lock.close()
            raise EngineUnavailableError(
                f"ClickHouse cannot open its data in {data_dir} ({error}); restore the directory or start on an empty"
                " one."
            ) from error

    def close(self) -> None:
        """Closes the engine and gives the directory free. No statement may be running."""
        self._inspector.close()
        self._keeper.close()
        self._lock.close()

    def run(self, statement: Statement) -> Result:
        """Runs one statement to its end. Raises StatementFailedError."""
        with self._connection() as connection:
            self._prepare(connection, statement)
            if statement.insert_format is None:
                self._inspector.check(statement.sql, statement.parameters, reads_only=statement.readonly > 0)
                result = connection.query(statement.sql, statement.output_format, params=dict(statement.parameters))
                buffer = result.get_memview()
                return Result(buffer.view(), _summary(result), (result, buffer))
            _set(connection, {f"param_{name}": value for name, value in statement.parameters.items()})
            result = self._insert(connection, statement.sql, statement.insert_format, statement.data)
            return Result(memoryview(b""), _summary(result))

    def run_into(self, statement: Statement, pipe: Path) -> None:
        """Runs a SELECT to its end, its rows written into a pipe as they come. Raises StatementFailedError."""
        with self._connection() as connection:
            # Formatting in parallel would take all rows in before the pipe has let the first ones through.
            _set(connection, {"output_format_parallel_formatting": "0"})
            self._prepare(connection, statement)
            sql = into_file(statement, str(pipe))
            self._inspector.check(sql, statement.parameters, str(pipe))
            connection.query(sql, "Null", params=dict(statement.parameters))

    def kill_writing_into(self, pipe: Path) -> None:
        """Ends the SELECT that writes into this pipe, as soon as it notices."""
        with self._connection() as connection:
            path = _quoted(str(pipe), "'")
            connection.query(f"KILL QUERY WHERE position(query, {path}) > 0 AND query_kind = 'Select'", "Null")

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        try:
            connection = connect(self._path)
            try:
                yield connection
            finally:
                connection.close()
        except StatementFailedError:
            raise
        except OSError as error:
            # Of the file that rows to be inserted go through.
            told = f"{gettempdir()}: {error.strerror}"
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StatementFailedError(f"Code: 243. DB::Exception: {told}. (NOT_ENOUGH_SPACE)") from error
            raise StatementFailedError(f"Code: 1001. DB::Exception: {told}. (STD_EXCEPTION)") from error
        except (RuntimeError, ValueError) as error:
            raise StatementFailedError(str(error)) from error

    def _prepare(self, connection: Any, statement: Statement) -> None:
        if statement.database and statement.database != "default":
            connection.query(f"USE {_quoted(statement.database, '`')}", "Null")
        _set(connection, statement.settings)
        for table in statement.external_tables:
            name = _quoted(table.name, "`")
            create = f"CREATE TEMPORARY TABLE {name} ({table.structure}\n) ENGINE = Memory".encode()
            self._inspector.check(create, {})
            connection.query(create, "Null")
            self._insert(connection, f"INSERT INTO {name}".encode(), table.format, memoryview(table.data))
        if statement.readonly:
            _set(connection, {"readonly": str(statement.readonly)})

    def _insert(self, connection: Any, sql: bytes, data_format: str, data: memoryview) -> Any:
        # Not by the engine's streaming insert: that one says it is done also where writing the rows has failed.
        with TemporaryFile() as rows:
            rows.write(data)
            rows.seek(0)  # flushes
            path = f"/dev/fd/{rows.fileno()}"
            insert = from_file(sql, path, data_format)
            self._inspector.check(insert, {}, path)
            return connection.query(insert, "Null")


def _set(connection: Any, settings: Mapping[str, str]) -> None:
    for name in settings:
        if not _SETTING_NAME.match(name):
            raise StatementFailedError(f"Code: 115. DB::Exception: Unknown setting {name!r}. (UNKNOWN_SETTING)")
    if settings:
        pairs = ", ".join(f"{name} = {_quoted(value, chr(39))}" for name, value in settings.items())
        connection.query(f"SET {pairs}", "Null")


def _quoted(text: str, quote: str) -> str:
    escaped = text.replace("\\", "\\\\").replace(quote, "\\" + quote)
    return f"{quote}{escaped}{quote}"


def _summary(result: Any) -> dict[str, str]:
    counts = {
        "read_rows": result.storage_rows_read(),
        "read_bytes": result.storage_bytes_read(),
        "written_rows": result.rows_written(),
        "written_bytes": result.bytes_written(),
        "result_rows": result.rows_read(),
        "result_bytes": result.size(),
    }
    return {name: str(count) for name, count in counts.items()}


def summary_header(summary: Mapping[str, str], elapsed_ns: int) -> str:
    """The value of X-ClickHouse-Summary, counts as strings as a server writes them."""
    return json.dumps({**summary, "elapsed_ns": str(elapsed_ns)}, separators=(",", ":"))


def _lock(data_dir: Path) -> IO[str]:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "feedback.lock").open("a")
    except OSError as error:
        raise EngineUnavailableError(
            f"ClickHouse cannot write to its data directory {data_dir} ({error.strerror}); choose another or grant"
            " access to it."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise EngineUnavailableError(
            f"The data directory {data_dir} is in use by another ClickHouse process; stop that one or choose another"
            " directory."
        ) from error
    return lock
