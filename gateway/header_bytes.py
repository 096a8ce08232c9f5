"""Has aiohttp write headers byte for byte, whatever charset a caller wrote them in.

aiohttp takes headers as text, and writes it as UTF-8. Here each character stands for one byte, as in Latin-1.
"""

from typing import Any

from aiohttp import http_writer

_as_utf_8 = http_writer._serialize_headers


def _as_latin_1(status_line: str, headers: Any) -> bytes:
    return _as_utf_8(status_line, headers).decode().encode("latin-1")


def text_of_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Headers as text, a character for each byte."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def write_byte_for_byte() -> None:
    """Have all clients of this process write such text as the bytes that it stands for."""
    http_writer._serialize_headers = _as_latin_1
