"""One ClickHouse HTTP request, read into one statement.

Pure: takes the query string, the headers and the decoded body of a request and says what is to be run, the way
ClickHouse's own HTTP interface reads them (URL parameters, multipart forms with external tables, the statement split
over `query=` and the body). It promises that the data of an INSERT is never interpreted, only cut off from the
statement. Running the statement and checking settings are left to the engine.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl
from uuid import uuid4

# What the HTTP interface keeps for itself, among it settings that only it reads; every other URL parameter is a
# setting for the engine.
_TRANSPORT_PARAMETERS = frozenset(
    {
        *("query", "query_id", "database", "default_format", "compress", "decompress", "buffer_size"),
        *("wait_end_of_query", "client_protocol_version", "session_id", "session_timeout", "session_check"),
        *("user", "password", "quota_key", "role", "stacktrace", "close_session", "enable_http_compression"),
        *("send_progress_in_http_headers", "http_headers_progress_interval_ms"),
        "cancel_http_readonly_queries_on_client_close",
    }
)

# A comment or a quotation without an end goes to the end of the text: so no part of it is gone through twice.
_TOKEN = re.compile(
    rb"""\s+ | --[^\n]* | \#[!\s][^\n]* | /\*.*?(?:\*/|\Z)
       | '(?:[^'\\]|\\.|'')*+(?:'|\\?\Z) | `(?:[^`\\]|\\.|``)*+(?:`|\\?\Z) | "(?:[^"\\]|\\.|"")*+(?:"|\\?\Z)
       | \w+ | .""",
    re.DOTALL | re.VERBOSE,
)
_BLANK = (b"--", b"#!", b"# ", b"/*")
_PARAMETER = re.compile(r';\s*+([\w-]++)=(?:"((?:[^"\\]|\\.)*+)(?:"|\\?\Z)|([^\s;"]*+))', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_INSERT_DATA = re.compile(rb"VALUES|FORMAT\s++(\w++)[ \t]*+;?[ \t]*+(?:\r?\n)?", re.IGNORECASE)
_FORMAT_NAME = re.compile(r"\w++", re.ASCII)
_TRAILING_FORMAT = re.compile(rb"\bFORMAT\s++(\w++)\s*+(?:SETTINGS\b|\Z)", re.IGNORECASE)
_SELECTS = re.compile(rb"\s*(?:SELECT|WITH)\b", re.IGNORECASE)
_INPUT_FUNCTION = re.compile(rb"\bFROM\s+input\s*\(", re.IGNORECASE)


class BadRequestError(ValueError):
    """The request cannot be read as a statement; `code` and `name` are ClickHouse's for the like."""

    def __init__(self, message: str, code: int = 36, name: str = "BAD_ARGUMENTS") -> None:
        super().__init__(message)
        self.code, self.name = code, name


@dataclass(frozen=True, slots=True)
class ExternalTable:
    """Rows sent beside a query, readable in it as a temporary table: `structure` is `name Type, …`."""

    name: str
    structure: str
    format: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Statement:
    """What one request asks for. `insert_format` is set when `data` holds the rows of an INSERT in that format."""

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

    @property
    def writes_rows(self) -> bool:
        return self.sql.lstrip()[:6].upper() == b"INSERT"


def read_statement(method: str, query_string: bytes, headers: Mapping[str, str], body: bytes) -> Statement:
    """The statement of a request whose body is already decompressed. `headers` has lower-case names.

    Raises BadRequestError for a malformed form or for what this front does not speak.
    """
    given = dict(parse_qsl(query_string.decode(), keep_blank_values=True))
    content_type = headers.get("content-type", "")
    files: dict[str, bytes] = {}
    if content_type.lower().startswith("multipart/form-data"):
        for name, is_file, value in _form_parts(content_type, body):
            if is_file:
                files[name] = value
            else:
                given[name] = value.decode()
        body = b""
    elif content_type.startswith("application/x-www-form-urlencoded") and body.startswith((b"query=", b"param_")):
        # curl marks every body as a form: it is one only when it starts like one.
        given.update(parse_qsl(body.decode(), keep_blank_values=True))
        body = b""
    if given.get("compress", "0") == "1" or given.get("decompress", "0") == "1":
        raise BadRequestError(
            "compress=1 and decompress=1 (ClickHouse's own block framing) are not spoken here; use Accept-Encoding and"
            " Content-Encoding instead",
            *(48, "NOT_IMPLEMENTED"),
        )
    external = tuple(_external_table(name, data, given) for name, data in files.items())
    external_keys = {f"{table.name}_{part}" for table in external for part in ("format", "structure", "types")}
    sql, insert_format, data = split_insert(given.get("query", "").encode(), body)
    trailing = _trailing_format(sql)
    default_format = headers.get("x-clickhouse-format") or given.get("default_format") or "TabSeparated"
    for name in (default_format, *(table.format for table in external)):
        if not _FORMAT_NAME.fullmatch(name):
            raise BadRequestError(f"{name!r} is no name of a format", 73, "UNKNOWN_FORMAT")
    return Statement(
        sql=sql,
        insert_format=insert_format,
        data=data,
        output_format=trailing[1].decode() if trailing else default_format,
        database=given.get("database") or headers.get("x-clickhouse-database"),
        settings={
            name: value
            for name, value in given.items()
            if name
            and name != "readonly"
            and name not in _TRANSPORT_PARAMETERS
            and name not in external_keys
            and not name.startswith("param_")
        },
        parameters={k.removeprefix("param_"): v for k, v in given.items() if k.startswith("param_")},
        external_tables=external,
        query_id=given.get("query_id") or str(uuid4()),
        readonly=_readonly(method, given.get("readonly", "0")),
        compress_answer=given.get("enable_http_compression") in ("1", "true"),
        streamed=given.get("wait_end_of_query") == "0" and _SELECTS.match(sql) is not None,
    )


def _readonly(method: str, given: str) -> int:
    """The setting: of whoever does not POST neither data nor this may change, whatever the caller says."""
    if given not in ("0", "1", "2"):
        raise BadRequestError(f"readonly must be 0, 1 or 2, got {given!r}")
    return int(given) or (0 if method == "POST" else 2)


def into_file(statement: Statement, path: str) -> bytes:
    """The statement's SELECT, its rows written into a file in its output format."""
    trailing = _trailing_format(statement.sql)
    end = trailing.start() if trailing else len(statement.sql)
    head, tail = statement.sql[:end].rstrip().rstrip(b";"), statement.sql[end:]
    quoted = path.replace("\\", "\\\\").replace("'", "\\'").encode()
    # On a line of its own, as the last one may be a comment.
    outfile = b"\nINTO OUTFILE '" + quoted + b"' TRUNCATE "
    return head + outfile + (tail or b"FORMAT " + statement.output_format.encode())


def from_file(insert: bytes, path: str, data_format: str) -> bytes:
    """The INSERT, its rows read from a file in this format. `insert` ends before FORMAT."""
    end = next((at for at, word in _words_outside_brackets(insert) if word == b"SETTINGS"), len(insert))
    infile = f"\nFROM INFILE '{path}' COMPRESSION 'none' ".encode()
    return insert[:end] + infile + insert[end:] + b"\nFORMAT " + data_format.encode()


def _trailing_format(sql: bytes) -> re.Match[bytes] | None:
    """Where a statement names its format: at its end, or before its settings."""
    end = len(sql.rstrip().removesuffix(b";").rstrip())
    return _TRAILING_FORMAT.search(sql, sql.rfind(b";", 0, end) + 1, end)


def split_insert(query: bytes, body: bytes) -> tuple[bytes, str | None, memoryview]:
    """(statement, format of its data, data) of a statement that starts in `query` and goes on in `body`.

    The format is None when all of it is statement: a SELECT, DDL, or an INSERT … SELECT.
    """
    head = query or body
    end = _insert_data_at(head)
    if end is None:
        whole = query + b"\n" + body if query and body else head
        return whole, None, memoryview(b"")
    if end == len(head):  # INSERT INTO t, with nothing after it: the data are VALUES
        return head, "Values", memoryview(body if query else b"")
    matched = _INSERT_DATA.match(head, end)
    if matched is None:
        return query + b"\n" + body if query else body, None, memoryview(b"")
    data = memoryview(head)[matched.end() :]
    if query:
        data = memoryview(bytes(data) + body) if len(data) else memoryview(body)
    return head[:end], (matched[1] or b"Values").decode(), data


def _insert_data_at(sql: bytes) -> int | None:
    """Where FORMAT or VALUES of an INSERT stands, the end if it names neither rows nor source, else None."""
    words = _words_outside_brackets(sql)
    if next(words, (0, b""))[1] != b"INSERT":
        return None
    for at, word in words:
        if word in (b"FORMAT", b"VALUES"):
            return at
        if word in (b"SELECT", b"WITH") and _INPUT_FUNCTION.search(sql):
            raise BadRequestError(
                "INSERT … SELECT … FROM input() is not available in the embedded engine; insert the rows as they"
                " are, or into a staging table first",
                *(48, "NOT_IMPLEMENTED"),
            )
        if word in (b"SELECT", b"WITH", b"INFILE", b"WATCH"):
            return None
    return len(sql)


def _words_outside_brackets(sql: bytes) -> Iterator[tuple[int, bytes]]:
    """Where each word, or other token, stands that is no blank, no table's name and not in brackets, in upper case."""
    depth, at, before = 0, 0, b""
    while token := _TOKEN.match(sql, at):
        text = token[0]
        if text in (b"(", b"["):
            depth += 1
        elif text in (b")", b"]"):
            depth -= 1
        elif depth == 0 and not text.isspace() and not text.startswith(_BLANK):
            word = text.upper()
            if before not in (b"INTO", b"TABLE", b"."):
                yield at, word
            before = word
        at = token.end()


def _form_parts(content_type: str, body: bytes) -> Iterator[tuple[str, bool, bytes]]:
    """(name, is it a file, content) for each part of a multipart/form-data body."""
    boundary = _parameters(content_type).get("boundary")
    if not boundary:
        raise BadRequestError("a multipart body needs a boundary in its Content-Type header")
    delimiter = b"\r\n--" + boundary.encode()
    pieces = (b"\r\n" + body).split(delimiter)
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise BadRequestError("the multipart body is cut short: its closing boundary is missing")
    for piece in pieces[1:-1]:
        head, separator, content = piece.lstrip(b" \t").removeprefix(b"\r\n").partition(b"\r\n\r\n")
        fields = (line.partition(b":") for line in head.split(b"\r\n"))
        disposition = next((value for name, _, value in fields if name.lower() == b"content-disposition"), b"")
        said = _parameters(disposition.decode())
        if not separator or "name" not in said:
            raise BadRequestError("a part of the multipart body has no name")
        yield said["name"], "filename" in said, content


def _parameters(header: str) -> dict[str, str]:
    """The parameters behind a header's value, by their names in lower case."""
    return {
        name.lower(): _ESCAPED.sub(r"\1", quoted) if quoted else bare
        for name, quoted, bare in _PARAMETER.findall(header)
    }


def _external_table(name: str, data: bytes, given: Mapping[str, str]) -> ExternalTable:
    structure = given.get(f"{name}_structure")
    if structure is None:
        types = given.get(f"{name}_types")
        if types is None:
            raise BadRequestError(f"external table {name!r} needs {name}_structure or {name}_types")
        structure = ", ".join(f"_{i} {kind}" for i, kind in enumerate(_split_types(types), 1))
    return ExternalTable(name, structure, given.get(f"{name}_format") or "TabSeparated", data)


def _split_types(types: str) -> Iterator[str]:
    """The comma-separated types of a list, commas inside brackets left alone."""
    depth, start = 0, 0
    for at, character in enumerate(types):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            yield types[start:at].strip()
            start = at + 1
    yield types[start:].strip()
