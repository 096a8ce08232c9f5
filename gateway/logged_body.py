"""What is logged of a body that has passed: JSON, the one answer that a stream of events makes, a text, or bytes. Pure.

Of a body beyond the limit its size and its beginning are logged, with the facts that tell what the call was.
"""

import base64
import json
import re
import zlib
from collections.abc import Mapping
from typing import Any

from feedback_client.storable import MAX_DEPTH, check_storable
from feedback_client.streamed_answers import assembled
from gateway.call_record import EVENT_BYTES_PER_LOGGED, KeptBody, is_events

TRUNCATED, BINARY = "$truncated", "$binary"

_PREFIX_CHARS = 1_000
_LONGEST_MODEL = 200
# Levels of nesting that are left for a body: a log has it within an array, an item, and `request` or `response`.
_LEVELS = MAX_DEPTH - 3
_FACTS = ("model", "user", "usage", "error")
_MODEL = re.compile(rf'"model"\s{{0,8}}:\s{{0,8}}"([^"\\]{{1,{_LONGEST_MODEL}}})"')
_MOST_USAGES = 10
_USAGE = re.compile(r'"usage"\s{0,8}:\s{0,8}\{')
_decode = json.JSONDecoder().raw_decode


def logged_body(kept: KeptBody, content_type: str, coding: str, most: int) -> Any:
    """A body as it is logged; None where there is none. `coding` is its Content-Encoding."""
    if kept.total == 0:
        return None
    head, is_whole = _decoded(kept.head, coding, EVENT_BYTES_PER_LOGGED * most)
    if head is None:
        return _binary(kept.head, kept.total)
    is_whole = is_whole and kept.is_whole
    tail = kept.tail if coding in ("", "identity") else b""
    if is_events(content_type):
        return _of_events(head, tail, most, kept)
    try:
        text = head.decode()
    except UnicodeDecodeError:
        if is_whole or not _is_text(head):
            return _binary(head[:most], kept.total)
        text = head.decode(errors="replace")
    text = text.replace("\0", "\ufffd")
    if is_whole and len(head) <= most:
        return _json_or_text(text)
    return {**_facts_in(text, tail), TRUNCATED: {"bytes": kept.total, "prefix": text[:_PREFIX_CHARS]}}


def _of_events(head: bytes, tail: bytes, most: int, kept: KeptBody) -> Any:
    text = head.decode(errors="replace").replace("\0", "\ufffd")
    if tail:
        # The first line of the tail is the end of one.
        text += "\n\n" + tail.decode(errors="replace").replace("\0", "\ufffd").partition("\n")[2]
    try:
        value = assembled(text)
        check_storable(value, "a body", _LEVELS)
    except (ValueError, RecursionError):
        value = text
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(shown) <= most and kept.is_whole:
        return value
    facts = {name: value[name] for name in _FACTS if name in value} if isinstance(value, dict) else {}
    return {**facts, TRUNCATED: {"bytes": kept.total, "prefix": shown[:_PREFIX_CHARS]}}


def _json_or_text(text: str) -> Any:
    try:
        value = json.loads(text)
        check_storable(value, "a body", _LEVELS)
    except (ValueError, RecursionError):
        return text
    return value


def _facts_in(text: str, tail: bytes) -> Mapping[str, Any]:
    """Model and usage of a body that is too long to be read, from its beginning and its end."""
    facts: dict[str, Any] = {}
    if model := _MODEL.search(text, 0, 65_536):
        facts["model"] = model[1]
    end = (text[-65_536:] if not tail else "") + tail.decode(errors="replace")
    # The last one counts. A text full of them has each begin another that is read to its end in vain.
    for place in reversed([*_USAGE.finditer(end)][-_MOST_USAGES:]):
        try:
            usage, _ = _decode(end, place.end() - 1)
            check_storable(usage, "a body", _LEVELS - 1)
        except (ValueError, RecursionError):
            continue
        return facts | {"usage": usage}
    return facts


def _decoded(head: bytes, coding: str, most: int) -> tuple[bytes | None, bool]:
    """The bytes without their coding, as far as they go, and whether that is all; None for an unknown coding."""
    if coding in ("", "identity"):
        return head, True
    if coding not in ("gzip", "x-gzip", "deflate"):
        return None, True
    # 47: either of the two formats, told by the first bytes; some send deflate without a head.
    for window in (47, -15):
        try:
            inflate = zlib.decompressobj(window)
            plain = inflate.decompress(head, most)
        except zlib.error:
            continue
        return plain, inflate.eof
    return None, True


def _is_text(head: bytes) -> bool:
    """Whether a beginning that ends within a character is text but for that."""
    try:
        head[:-3].decode()
    except UnicodeDecodeError as fault:
        return fault.start > len(head) - 8
    return True


def _binary(head: bytes, total: int) -> dict[str, Any]:
    """Bytes as JSON can hold them, whole if they are few."""
    kept = head if len(head) == total else head[:_PREFIX_CHARS]
    return {BINARY: {"bytes": total, "base64": base64.b64encode(kept).decode()}}
