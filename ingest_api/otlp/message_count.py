"""A bound on the messages within a body in protobuf, each of which takes hundreds of bytes once it is read. Pure.

An empty message has two bytes. Without a bound, a body of 20 MB, which is 20 KB compressed, would take gigabytes and
half a minute. JSON has such a bound in `json_limits`.
"""

from typing import Any

from google.protobuf.message import Message

from ingest_api.otlp.telemetry_data import UnreadableError
from runtime.http_errors import ApiError

MOST_MESSAGES = 400_000
_LEAST_BYTES = 2
"""Of a message within another: its tag and its length."""
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
"""Types on the wire. Two others are groups, which OTLP has never had."""
_MORE = 0x80
"""From here on, another byte of an integer follows."""

Fields = dict[int, Any]
"""By the tag of each field that holds messages, the fields of those messages."""


def fields_of(message: type[Message]) -> Fields:
    """The fields of a kind of message that hold messages, and so on within these."""
    known: dict[str, Fields] = {}

    def of(descriptor: Any) -> Fields:
        if descriptor.full_name not in known:
            found: Fields = known.setdefault(descriptor.full_name, {})
            for field in descriptor.fields:
                if field.message_type is not None:
                    found[field.number << 3 | _LENGTH] = of(field.message_type)
        return known[descriptor.full_name]

    return of(message.DESCRIPTOR)


def check_messages(body: bytes, fields: Fields) -> None:
    """ApiError 413 if the body holds more messages than may be read, UnreadableError if it is no protobuf."""
    if len(body) <= _LEAST_BYTES * MOST_MESSAGES:
        return
    try:
        found = _count(body, fields)
    except IndexError:
        raise UnreadableError("the body is no protobuf: it was cut off") from None
    if found > MOST_MESSAGES:
        raise ApiError(
            f"the body holds more than {MOST_MESSAGES:,} messages (spans, events, attributes and their values): send"
            " it in parts",
            status=413,
        )


def _count(body: bytes, fields: Fields) -> int:
    """The messages within a body, or one more than the most if there are more."""
    count = 0
    waiting = [(fields, 0, len(body))]
    while waiting:
        within, at, end = waiting.pop()
        while at < end:
            tag = body[at]
            at += 1
            if tag >= _MORE:
                tag, at = _integer(body, at - 1)
            kind = tag & 7
            if kind == _LENGTH:
                size = body[at]
                at += 1
                if size >= _MORE:
                    size, at = _integer(body, at - 1)
                inner = within.get(tag)
                if inner is not None:
                    count += 1
                    if count > MOST_MESSAGES:
                        return count
                    if size and inner:
                        waiting.append((inner, at, at + size))
                at += size
            elif kind == _VARINT:
                while body[at] >= _MORE:
                    at += 1
                at += 1
            elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
                at += 8 if kind == _EIGHT_BYTES else 4
            else:
                raise UnreadableError("the body is no export of OTLP in protobuf: it holds a group")
        if at > end:
            raise IndexError
    return count


def _integer(body: bytes, at: int) -> tuple[int, int]:
    """The integer that begins here, and where the next thing begins."""
    value = shift = 0
    while body[at] >= _MORE:
        value |= (body[at] & 0x7F) << shift
        shift += 7
        at += 1
        if shift > 63:
            raise IndexError
    return value | body[at] << shift, at + 1
