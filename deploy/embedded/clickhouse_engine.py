"""Runs statements on chDB, the ClickHouse engine in this process, from many threads.

Each statement has its own connection, which takes a fifth of a millisecond to open. So its settings, parameters,
database and external tables end with it, and threads share no connection. There are no sessions: SET and temporary
tables last for one request. Files that last as long are in the data directory, so that a full or missing /tmp stops
nothing. A lock file keeps a second process from the data directory, and is released when this process ends, however
it ends.
"""

import errno
import fcntl
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from deploy.embedded.clickhouse_inspector import Inspector
from deploy.embedded.clickhouse_sql import from_file
from deploy.embedded.clickhouse_start import connect, open_engine
from deploy.embedded.clickhouse_statement import Statement, into_file

_SETTING_NAME = re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)
_ERROR = re.compile(r"Code: (\d+)\. DB::Exception: .*", re.DOTALL)
_ERROR_NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)(?: \(version [^)]*\))?\s*\Z")


class EngineUnavailableError(RuntimeError):
    """The data directory cannot be opened. The message says why and what to do."""


class StatementFailedError(RuntimeError):
    """A statement failed. It has ClickHouse's error code, its name and its text."""

    def __init__(self, message: str) -> None:
        found = _ERROR.search(message)
        text = found[0].strip() if found else f"Code: 1001. DB::Exception: {message.strip()} (STD_EXCEPTION)"
        super().__init__(text)
        name = _ERROR_NAME.search(text)
        self.code = int(found[1]) if found else 1001
        self.name = name[1] if name else ""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a statement: the encoded rows, and the counts that a server sends as summary."""

    data: memoryview
    summary: Mapping[str, str]
    holder: Any = None  # keeps the engine's buffer behind `data` alive


class Engine:
    """An engine with an open data directory. Any number of threads may call `run` at once."""

    def __init__(self, data_dir: Path) -> None:
        """Open the directory, and create it if it is missing. Raises EngineUnavailableError."""
        self._lock = _lock(data_dir)
        self._path = str(data_dir.resolve())
        self.scratch = Path(self._path, "scratch")
        try:
            # A process that was killed has left its files.
            shutil.rmtree(self.scratch, ignore_errors=True)
            self.scratch.mkdir(mode=0o700)
            self._keeper = open_engine(Path(self._path), self.scratch)
            self._inspector = Inspector(connect(self._path))
            self.timezone = self._keeper.query("SELECT timezone()", "TSVRaw").bytes().decode().strip()
        except OSError as error:
            self._lock.close()
            raise _cannot_write(data_dir, error) from error
        except RuntimeError as error:
            self._lock.close()
            raise EngineUnavailableError(
                f"ClickHouse cannot open its data in {data_dir} ({error}); restore the directory or start on an empty"
                " one."
            ) from error

    def close(self) -> None:
        """Close the engine and release the directory. No statement may be running."""
        self._inspector.close()
        self._keeper.close()
        self._lock.close()

    def run(self, statement: Statement) -> Result:
        """Run one statement to its end. Raises StatementFailedError."""
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
        """Run a SELECT, which writes its rows into a pipe as they come. Raises StatementFailedError."""
        with self._connection() as connection:
            # Parallel formatting would read all rows before the first ones have gone through the pipe.
            _set(connection, {"output_format_parallel_formatting": "0"})
            self._prepare(connection, statement)
            sql = into_file(statement, str(pipe))
            self._inspector.check(sql, statement.parameters, str(pipe))
            connection.query(sql, "Null", params=dict(statement.parameters))

    def kill_writing_into(self, pipe: Path) -> None:
        """Kill the SELECT that writes into this pipe."""
        path = _quoted(str(pipe), "'")
        self._kill_select(f"position(query, {path}) > 0")

    def kill(self, mark: str) -> None:
        """Kill the statement of this mark if it is a SELECT."""
        self._kill_select(f"Settings['log_comment'] = '{mark}'")

    def _kill_select(self, which: str) -> None:
        with self._connection() as connection:
            connection.query(f"KILL QUERY WHERE {which} AND query_kind = 'Select'", "Null")

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
            raise self.failure_of(error) from error
        except (RuntimeError, ValueError) as error:
            raise StatementFailedError(str(error)) from error

    def failure_of(self, error: OSError) -> StatementFailedError:
        """The failure of a statement whose own file cannot be made or written."""
        message = f"{self.scratch}: {error.strerror}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return StatementFailedError(f"Code: 243. DB::Exception: {message}. (NOT_ENOUGH_SPACE)")
        return StatementFailedError(f"Code: 1001. DB::Exception: {message}. (STD_EXCEPTION)")

    def _prepare(self, connection: Any, statement: Statement) -> None:
        if statement.database and statement.database != "default":
            connection.query(f"USE {_quoted(statement.database, '`')}", "Null")
        _set(connection, {"log_comment": statement.mark, **statement.settings})
        for table in statement.external_tables:
            name = _quoted(table.name, "`")
            create = f"CREATE TEMPORARY TABLE {name} ({table.structure}\n) ENGINE = Memory".encode()
            self._inspector.check(create, {})
            connection.query(create, "Null")
            self._insert(connection, f"INSERT INTO {name}".encode(), table.format, memoryview(table.data))
        if statement.readonly:
            _set(connection, {"readonly": str(statement.readonly)})

    def _insert(self, connection: Any, sql: bytes, data_format: str, data: memoryview) -> Any:
        # Not the streaming insert of the engine, which reports success even if writing the rows has failed.
        with TemporaryFile(dir=self.scratch) as rows:
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
    """The value of X-ClickHouse-Summary, with counts as strings, as a server writes it."""
    return json.dumps({**summary, "elapsed_ns": str(elapsed_ns)}, separators=(",", ":"))


def _lock(data_dir: Path) -> IO[str]:
    if "?" in str(data_dir.absolute()):
        raise EngineUnavailableError(f"ClickHouse takes no path with a ?, got {data_dir}; choose another directory.")
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "feedback.lock").open("a")
    except OSError as error:
        raise _cannot_write(data_dir, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise EngineUnavailableError(
            f"The data directory {data_dir} is in use by another ClickHouse process; stop that one or choose another"
            " directory."
        ) from error
    return lock


def _cannot_write(data_dir: Path, error: OSError) -> EngineUnavailableError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return EngineUnavailableError(
        f"ClickHouse cannot write to its data directory {data_dir} ({error.strerror});"
        f" {'make room there' if full else 'choose another or grant access to it'}."
    )
