"""Finds the parts of an SQL text that the front needs: the data of an INSERT, and the format of an answer. Pure.

The data of an INSERT are never interpreted, only cut off from the statement.
"""

import re
from collections.abc import Iterator

from deploy.embedded.clickhouse_answers import BadRequestError

# A comment or quotation without an end extends to the end of the text, so no part is scanned twice.
_TOKEN = re.compile(
    rb"""\s+ | --[^\n]* | \#[!\s][^\n]* | /\*.*?(?:\*/|\Z)
       | '(?:[^'\\]|\\.|'')*+(?:'|\\?\Z) | `(?:[^`\\]|\\.|``)*+(?:`|\\?\Z) | "(?:[^"\\]|\\.|"")*+(?:"|\\?\Z)
       | \w+ | .""",
    re.DOTALL | re.VERBOSE,
)
_BLANK = (b"--", b"#!", b"# ", b"/*")
_INSERT_DATA = re.compile(rb"VALUES|FORMAT\s++(\w++)[ \t]*+;?[ \t]*+(?:\r?\n)?", re.IGNORECASE)
_TRAILING_FORMAT = re.compile(rb"\bFORMAT\s++(\w++)\s*+(?:SETTINGS\b|\Z)", re.IGNORECASE)
_INPUT_FUNCTION = re.compile(rb"\bFROM\s+input\s*\(", re.IGNORECASE)


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
    """The position of FORMAT or VALUES in an INSERT; its end if it names neither rows nor a source; else None."""
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
    """Position and upper case of each word or other token, without blanks, table names, and brackets' content."""
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


def from_file(insert: bytes, path: str, data_format: str) -> bytes:
    """The INSERT with its rows read from a file in this format. `insert` ends before FORMAT."""
    end = next((at for at, word in _words_outside_brackets(insert) if word == b"SETTINGS"), len(insert))
    infile = f"\nFROM INFILE '{path}' COMPRESSION 'none' ".encode()
    return insert[:end] + infile + insert[end:] + b"\nFORMAT " + data_format.encode()


def trailing_format(sql: bytes) -> re.Match[bytes] | None:
    """The FORMAT clause of a statement: at its end, or before its settings."""
    end = len(sql.rstrip().removesuffix(b";").rstrip())
    return _TRAILING_FORMAT.search(sql, sql.rfind(b";", 0, end) + 1, end)
