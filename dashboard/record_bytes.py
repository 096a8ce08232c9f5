"""Shows the bytes of a record: as text in which invisible characters are made visible, or as a hex dump. Pure."""

import base64
import unicodedata

_MOST_DUMPED = 1024
_BYTES_A_LINE = 16
_HIDDEN = ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp")
_CONTROL_PICTURES = 0x2400


def visible(text: str) -> str:
    """The text with line breaks and tabs; other invisible characters become symbols or numbers."""
    return "".join(map(_visible, text))


def hex_dump(value: bytes) -> str:
    """The first bytes as lines of offset, hex and ASCII."""
    lines = []
    for start in range(0, min(len(value), _MOST_DUMPED), _BYTES_A_LINE):
        part = value[start : start + _BYTES_A_LINE]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:06x}  {part.hex(' '):<{3 * _BYTES_A_LINE - 1}}  {shown}")
    if len(value) > _MOST_DUMPED:
        lines.append("…")
    return "\n".join(lines)


def readable(value: str, encoding: str) -> str:
    """A value that the API gives as `utf-8` or `base64`."""
    return visible(value) if encoding == "utf-8" else hex_dump(base64.b64decode(value))


def _visible(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in _HIDDEN:
        return character
    code = ord(character)
    return chr(_CONTROL_PICTURES + code) if code < 32 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
