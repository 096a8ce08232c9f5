"""Reads the statement of a ClickHouse HTTP request from its query string, headers and decoded body. Pure.

It reads them as a ClickHouse server does: URL parameters, multipart forms with external tables, and a statement that
may be split between `query=` and the body. The engine runs the statement and checks its settings.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl
from uuid import uuid4

from deploy.embedded.clickhouse_answers import BadRequestError
from deploy.embedded.clickhouse_form import ExternalTable, external_table, form_parts
from deploy.embedded.clickhouse_sql import split_insert, trailing_format

# URL parameters for the HTTP interface, some of them settings that only it reads. All others are settings for the
# engine.
_TRANSPORT_PARAMETERS = frozenset(
    {
        *("query", "query_id", "database", "default_format", "compress", "decompress", "buffer_size"),
        *("wait_end_of_query", "client_protocol_version", "session_id", "session_timeout", "session_check"),
        *("user", "password", "quota_key", "role", "stacktrace", "close_session", "enable_http_compression"),
        *("send_progress_in_http_headers", "http_headers_progress_interval_ms"),
        "cancel_http_readonly_queries_on_client_close",
    }
)

_FORMAT_NAME = re.compile(r"\w++", re.ASCII)
_SELECTS = re.compile(rb"\s*(?:SELECT|WITH)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Statement:
    """The statement of one request. `insert_format` is set if `data` has the rows of an INSERT in that format."""

    sql: bytes
    insert_format: str | None = None
    data: memoryview = field(default_factory=lambda: memoryview(b""))
    output_format: str = "TabSeparated"
    database: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    external_tables: tuple[ExternalTable, ...] = ()
    query_id: str = ""
    readonly: int = 0
    compress_answer: bool = False
    streamed: bool = False
    mark: str = field(default_factory=lambda: uuid4().hex)
    """What tells this statement from all others that run: its log_comment, if its caller gives none."""

    @property
    def writes_rows(self) -> bool:
        return self.sql.lstrip()[:6].upper() == b"INSERT"


def read_statement(method: str, query_string: bytes, headers: Mapping[str, str], body: bytes) -> Statement:
    """The statement of a request whose body is already decompressed. `headers` has lower-case names.

    Raises BadRequestError for a malformed form, and for what is not supported.
    """
    given, files, body = _read_form(query_string, headers.get("content-type", ""), body)
    if given.get("compress", "0") == "1" or given.get("decompress", "0") == "1":
        raise BadRequestError(
            "compress=1 and decompress=1 (ClickHouse's own block framing) are not spoken here; use Accept-Encoding and"
            " Content-Encoding instead",
            *(48, "NOT_IMPLEMENTED"),
        )
    external = tuple(external_table(name, data, given) for name, data in files.items())
    sql, insert_format, data = split_insert(given.get("query", "").encode(), body)
    trailing = trailing_format(sql)
    default_format = headers.get("x-clickhouse-format") or given.get("default_format") or "TabSeparated"
    for name in (default_format, *(table.format for table in external)):
        if not _FORMAT_NAME.fullmatch(name):
            raise BadRequestError(f"{name!r} is not the name of a format", 73, "UNKNOWN_FORMAT")
    return Statement(
        sql=sql,
        insert_format=insert_format,
        data=data,
        output_format=trailing[1].decode() if trailing else default_format,
        database=given.get("database") or headers.get("x-clickhouse-database"),
        settings=_engine_settings(given, external),
        parameters={k.removeprefix("param_"): v for k, v in given.items() if k.startswith("param_")},
        external_tables=external,
        query_id=given.get("query_id") or str(uuid4()),
        readonly=_readonly(method, given.get("readonly", "0")),
        compress_answer=given.get("enable_http_compression") in ("1", "true"),
        streamed=given.get("wait_end_of_query") == "0" and _SELECTS.match(sql) is not None,
    )


def _read_form(query_string: bytes, content_type: str, body: bytes) -> tuple[dict[str, str], dict[str, bytes], bytes]:
    """The parameters and files of a request, and what of its body is no form."""
    given = dict(parse_qsl(query_string.decode(), keep_blank_values=True))
    files: dict[str, bytes] = {}
    if content_type.lower().startswith("multipart/form-data"):
        for name, is_file, value in form_parts(content_type, body):
            if is_file:
                files[name] = value
            else:
                given[name] = value.decode()
        return given, files, b""
    if content_type.startswith("application/x-www-form-urlencoded") and body.startswith((b"query=", b"param_")):
        # curl declares every body as a form; it is one only if it starts like one.
        given.update(parse_qsl(body.decode(), keep_blank_values=True))
        return given, files, b""
    return given, files, body


def _engine_settings(given: Mapping[str, str], external: Iterable[ExternalTable]) -> dict[str, str]:
    """The parameters that are settings for the engine."""
    of_tables = {f"{table.name}_{part}" for table in external for part in ("format", "structure", "types")}
    others = _TRANSPORT_PARAMETERS | of_tables | {"", "readonly"}
    return {name: value for name, value in given.items() if name not in others and not name.startswith("param_")}


def _readonly(method: str, given: str) -> int:
    """The setting `readonly`. A request that is no POST can never change data or this setting."""
    if given not in ("0", "1", "2"):
        raise BadRequestError(f"readonly must be 0, 1 or 2, got {given!r}")
    return int(given) or (0 if method == "POST" else 2)


def into_file(statement: Statement, path: str) -> bytes:
    """The SELECT of the statement, writing its rows into a file in its output format."""
    trailing = trailing_format(statement.sql)
    end = trailing.start() if trailing else len(statement.sql)
    head, tail = statement.sql[:end].rstrip().rstrip(b";"), statement.sql[end:]
    quoted = path.replace("\\", "\\\\").replace("'", "\\'").encode()
    # On a new line, because the last one may be a comment.
    outfile = b"\nINTO OUTFILE '" + quoted + b"' TRUNCATE "
    return head + outfile + (tail or b"FORMAT " + statement.output_format.encode())
