"""What commands print of data: characters that a terminal would obey, or not show, are written as escapes.

Whoever may give feedback chooses the ids and names in it. A terminal that is sent them as they are may be told to clear
its screen, to hide what follows, or to turn the direction of text.
"""

from typing import Any, TextIO

_LAYOUT = "\n\t"


def plain(text: str, kept: str = "") -> str:
    """The text with an escape for each character that is not printable and not among `kept`."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in kept else each.encode("unicode_escape", "surrogatepass").decode()
        for each in text
    )


class PlainOutput:
    """A stream on which nothing but text and its layout gets through. Its `buffer` takes bytes as they are."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text, plain."""
        return self._stream.write(plain(text, _LAYOUT))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
