"""Reads multipart forms, with which clients send external tables for a query. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from deploy.embedded.clickhouse_answers import BadRequestError

_PARAMETER = re.compile(r';\s*+([\w-]++)=(?:"((?:[^"\\]|\\.)*+)(?:"|\\?\Z)|([^\s;"]*+))', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ExternalTable:
    """Rows that are sent with a query, which reads them as a temporary table. `structure` is `name Type, …`."""

    name: str
    structure: str
    format: str
    data: bytes


def form_parts(content_type: str, body: bytes) -> Iterator[tuple[str, bool, bytes]]:
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
    """The parameters of a header, by their names in lower case."""
    return {
        name.lower(): _ESCAPED.sub(r"\1", quoted) if quoted else bare
        for name, quoted, bare in _PARAMETER.findall(header)
    }


def external_table(name: str, data: bytes, given: Mapping[str, str]) -> ExternalTable:
    structure = given.get(f"{name}_structure")
    if structure is None:
        types = given.get(f"{name}_types")
        if types is None:
            raise BadRequestError(f"external table {name!r} needs {name}_structure or {name}_types")
        structure = ", ".join(f"_{i} {kind}" for i, kind in enumerate(_split_types(types), 1))
    return ExternalTable(name, structure, given.get(f"{name}_format") or "TabSeparated", data)


def _split_types(types: str) -> Iterator[str]:
    """The types of a comma-separated list; commas inside brackets do not separate."""
    depth, start = 0, 0
    for at, character in enumerate(types):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            yield types[start:at].strip()
            start = at + 1
    yield types[start:].strip()
