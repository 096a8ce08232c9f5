"""Requests that are right, nearly right, or hostile: whole calls, mutated as JSON, as bytes and in their headers."""

import gzip
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from hypothesis import strategies as st

from tests.fuzz.oracle import Request

OURS = "01970000-0000-8000-8000-9b11edf90000"

# Pieces of JSON that are right somewhere, nearly right, or read differently by one parser or another.
_SCALARS = r"""
    1 -10 10 11 -0 0 0.5 1.0 5.0 1e0 1e1 -0.0 0.1234567891 1e-400 1e999 -1e999 NaN Infinity 01 1. .5 +1 true false null
    "" "t" "x:y" "12345678" "5" "-5" "0.5" "1e1" "1e999" "0x1" "1_0" "é" "\u00e9" "\u0000" "\\u0000" "\ud83d\ude00"
    "\ud800" "\udc00x" "\x" "\u003a" "\u003A" "None" [] {} [1] [[2]] {"a":1} {"a":1,"a":2} {"a:":":","\u003a":1}
    "{}" "{\"a\":1}" "{\"a\":1,\"a\":2}" "{\"a\":\"\\u0000\"}" "{" "null" "[1]" 1e16 1e-7 123456.75 2e22
    9223372036854775807 -9223372036854775809 18446744073709551616 123456789012345678901234567890
    1769860800 1769860800.25 1769860800123 "1769860800" "2026-01-31T12:00:00Z" "2026-01-31" "1999-12-31" "yesterday"
    200 404 65535 65536 412 "0123" -1
"""
SCALARS = [
    *_SCALARS.split(),
    *('"' + "9" * 400 + '"', "9" * 308, "9" * 309, "[" * 98 + "]" * 98, "[" * 101 + "]" * 101, "[" * 1100 + "]" * 1100),
    *('"\t"', '"\x00"', '"' + "é" * 24 + '"', '"' + "é" * 25 + '"', '"' + "u" * 380 + '"', '"' + "u" * 600 + '"'),
    '{"model":"m","user":"u-9","messages":[{"content":"1+1: ?"}]}',
    r'"{\"model\":\"m\",\"user\":7}"',
]
TRACE_NAMES = ["trace_id", "traceID", "traceId", "trace-id", "tr\\u0061ce_id"]
SPECIAL_NAMES = ["_user", "_organisation", "_prompt", "_environment", "_us\\u0065r", "user", "organization"]
FEEDBACK_NAMES = [*TRACE_NAMES, "value", "weight", "metadata", "feedback_id", "junk", "0", "1", "\\u0000"]
LOG_NAMES = [
    *TRACE_NAMES,
    *("span_id", "spanId", "parent_span_id", "parentSpanId", "span_name", "spanName", "cost"),
    *("start_time", "started_at", "created_at", "metadata", "request", "response", "event_type"),
]
PART_NAMES = [
    *("url", "method", "provider", "headers", "body", "status", "response_time", "responseTime", "response_time_ms"),
    "streamingMode",
]
# What is put into, or in place of, a few bytes of a body.
POISON = [
    *(b"\x00", b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xef\xbb\xbf", b"\\ud800", b"\\u0000", b"\\u003a", b":", b","),
    *(b'"', b"}", b"{", b"]", b"[", b"\\", b"NaN", b"1e999", b"9" * 309, b"[" * 101, b" ", b"\n", b"\x0b", b"\xc2\xa0"),
    *(b'"value":1,', b'"trace_id":"t",', b'"metadata":{},', b"/**/", b"\x1f\x8b", b"'"),
]
HEADERS: dict[str, list[bytes]] = {
    "content-type": [
        *(b"application/json", b"application/json; charset=utf-8", b"APPLICATION/JSON", b"application/ld+json", b""),
        *(b"text/plain", b"application/x-www-form-urlencoded", b"application/json; charset=utf-16", b"\xff"),
    ],
    "content-encoding": [b"identity", b"gzip", b"", b"br"],
    "x-portkey-trace-id": [b"h", b"", b"h" * 25, b"h" * 24, "é".encode(), b"\xe9"],
    "x-portkey-span-id": [b"hs", b"None"],
    "x-portkey-parent-span-id": [b"hp"],
    "x-portkey-span-name": [b"hn"],
    "x-portkey-metadata": [
        *(b'{"_user":"hu","h":[1]}', b"{}", b"[]", b"null", b"{", b'{"a":1,"a":2}', b'{"a":"\\u0000"}', b""),
        *(b'{"a":"\\ud800"}', b'{"traceId":"from-meta"}', b'{"a":"\xe9"}', b'{"_user":{}}', b'{"span_id":7}', b"\xff"),
    ],
    "baggage": [
        *(b"_user=bu,b=%C3%A9;p=1", b"x", b"=1", b"a=%00,c=1", b"a=%ED%A0%80", b"a=1,a=2", b"trace_id=bt", b"%zz=%zz"),
        b"k=" + b"v" * 390,
    ],
    "traceparent": [
        b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        b"00-00000000000000000000000000000000-b7ad6b7169203331-01",
        b"00-x",
    ],
    "idempotency-key": [b"k1", b"k2", b"", b"k" * 255, b"k" * 256, b"\xff"],
}
IDS = [
    OURS,
    OURS.upper(),
    OURS + "/x",
    "undefined",
    "NOT_GIVEN",
    "null",
    "0b6ff5c2-5a3c-4f0e-9d3f-2f4f6f1d7c11",
    "\0",
    "é",
]

METADATA = ["{}", "null", '{"_user":"u-1","a":[1,{"b":null}]}', r'"{\"_prompt\":\"p:1\"}"', '{"n":1e16,"é":"\\n"}']
FEEDBACK = {
    "trace_id": ['"t"', '"x:y"', '"é"'],
    "value": ["5", "-10", '"7"', "0"],
    "weight": ["0.5", "null", "1", '"0.25"'],
    "metadata": METADATA,
}
CHANGE = {"value": ["5", "null"], "weight": ["0.5", "null"], "metadata": METADATA}
LOGGED_HEADERS = [
    *("{}", '{"authorization":"x","Content_Type":["a","b"],"x-config":{"a":1},"user-agent":{"a":1}}', '["x-key","s"]'),
    *('[["cookie","a"],["cookie","b"],["x-request-id","c"],["x-request-id",7]]', '["content-type: a:b","x-key: s"]'),
    *('[{"name":"user-agent","value":"u"},{"name":"x","value":"s"},{"api-version":"v","y":"s"}]', '[["a",1,2]]', '"s"'),
    *(r'"{\"user-agent\":\"u\",\"x-key\":\"s\"}"', r'"user-agent: u\nx-key: s\n"', '{"a b":1,":path":"/?k=s"}'),
]
URLS = [
    *('"https://h.example/v1?model=m&key=s"', '"https://u:p@h:8/a;x=s;y/b=c?api-version=a%2Fb&d&page=a;b#f"'),
    '"https://h/bot1:T1b2T1b2%541b2T1b2T1b2/T1b2T1b2T1b2T1b2T1b2;y/12345678901234567890/aaaaaaaaaabbbbbbbbbb"',
    '"https://h/a-aB1cD2eF_x+aaaaaaaa/aB1cD2eF_x/0197cafe-0000-8000-8000-9b11edf9ab0c/Qwen3-235B-A22B-Instruct-FP8"',
    *('"//u@h?e=&=f&g"', '"/a//u@h/b:c/%3Bd=e"', '"http:/u:p@h"', '"https://h:x/a"', '"a/b?model=%2525"', '"/a@b"'),
]
USAGES = [
    *('{"input_tokens":3,"output_tokens":4.0}', '{"prompt_tokens":9007199254740991,"completion_tokens":1}', "5"),
    *(
        '{"total_tokens":9007199254740992}',
        '{"total_tokens":-1,"prompt_tokens":true,"input_tokens":1.5,"output_tokens":2}',
    ),
]
LOGGED = [f'{{"headers":{each}}}' for each in LOGGED_HEADERS]
LOG = {
    "request": [
        "{}",
        '{"provider":"p","body":{"user":5}}',
        r'"{\"a\":1}"',
        *LOGGED,
        *(f'{{"url":{each}}}' for each in URLS),
    ],
    "response": ["{}", '{"status":404}', *LOGGED, *(f'{{"body":{{"usage":{each}}}}}' for each in USAGES)],
    "metadata": [*METADATA, '{"traceId":"m"}'],
}

T = TypeVar("T")


class Choices:
    """What is chosen, told by bytes: zeros choose what is right, so a failure shrinks towards that."""

    def __init__(self, entropy: bytes) -> None:
        self._entropy = entropy
        self._at = 0

    def below(self, count: int) -> int:
        """A number from 0; 0 where the bytes have come to their end."""
        width = 1 if count <= 256 else 2
        chosen = int.from_bytes(self._entropy[self._at : self._at + width], "big") % count
        self._at += width
        return chosen

    def of(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]


def value(choose: Choices) -> str:
    """Anything that may stand as a member's value."""
    kind = choose.below(4)
    if kind < 2:
        return choose.of(SCALARS)
    names = PART_NAMES if kind == 2 else [*SPECIAL_NAMES, "a", "a:", "trace_id", "span_id", "\\u0000"]
    return "{" + ",".join(f'"{choose.of(names)}":{choose.of(SCALARS)}' for _ in range(choose.below(4))) + "}"


def item(choose: Choices, right: dict[str, list[str]], names: list[str]) -> str:
    """An object whose members are mostly right: each one of its choices, or left out, or doubled, or anything."""
    members = [f'"{name}":{choose.of(choices)}' for name, choices in right.items()]
    for _ in range(choose.below(4) - 1):
        place, change = choose.below(len(members) + 1), choose.below(5)
        if change == 0:
            members.insert(place, f'"{choose.of(names)}":{value(choose)}')
        elif change == 1:
            members[place : place + 1] = [f'"{choose.of(list(right))}":{value(choose)}']
        elif change == 2:
            del members[place : place + 1]
        elif change == 3 and place < len(members):
            members.insert(0, members[place])
        elif place < len(members):
            members[place] = f'"{choose.of(names)}":' + members[place].partition(":")[2]
    space = choose.of(["", " ", "\n"])
    return "{" + ("," + space).join(members) + space + "}"


def called(choose: Choices, right: dict[str, list[str]], names: list[str]) -> str:
    """One item, or several as an array or as an object of positions."""
    kind = choose.below(8)
    if kind < 5:
        return item(choose, right, names)
    if kind == 7:
        return choose.of(SCALARS)
    items = [item(choose, right, names) for _ in range(choose.below(6))]
    if kind == 5:
        return "[" + ",".join(items) + "]"
    return "{" + ",".join(f'"{n}":{each}' for n, each in enumerate(items)) + "}"


def damaged(choose: Choices, text: str) -> bytes:
    """The bytes of a text, now and then with something put into them, cut, or in another encoding."""
    body = text.encode("utf-8", "surrogatepass")
    how = choose.below(30)
    if how < 22:
        return body
    place = choose.below(len(body) + 1)
    if how < 26:
        return body[:place] + choose.of(POISON) + body[place + choose.below(3) :]
    if how == 26:
        return body[:place]
    return choose.of(
        [
            gzip.compress(body, 1, mtime=0),
            body.decode("utf-8", "replace").encode("utf-16"),
            b"\xef\xbb\xbf" + body,
            body + body,
            body + b" " * 4000,
            bytes(choose.below(256) for _ in range(20)),
            b"",
        ]
    )


def headers(choose: Choices) -> dict[str, bytes]:
    """None in half of all calls, else up to three."""
    names = [choose.of(list(HEADERS)) for _ in range(max(0, choose.below(6) - 2))]
    return {name: choose.of(HEADERS[name]) for name in names}


def repeated(choose: Choices, sent: dict[str, bytes]) -> dict[str, bytes]:
    """Now and then a header once more, of those that were sent or another one, with the same value or another."""
    names = [choose.of(list(sent) or ["baggage"])] if choose.below(4) == 3 else []
    return {name: choose.of([sent.get(name, b"a=2"), *HEADERS[name]]) for name in names}


def request(entropy: bytes) -> Request:
    """The request that these bytes tell."""
    choose = Choices(entropy)
    sent = headers(choose)
    again = repeated(choose, sent)
    return replace(sending(choose, sent), again=again)


def sending(choose: Choices, sent: dict[str, bytes]) -> Request:
    """A request that sends these headers."""
    kind, slash = choose.below(8), choose.of(["", "/"])
    if kind < 3:
        return Request("POST", "/v1/feedback" + slash, sent, damaged(choose, called(choose, FEEDBACK, FEEDBACK_NAMES)))
    if kind < 6:
        return Request("POST", "/v1/logs" + slash, sent, damaged(choose, called(choose, LOG, LOG_NAMES)))
    path = "/v1/feedback/" + (OURS if choose.below(2) == 0 else choose.of(IDS)) + slash
    if kind == 6:
        return Request("PUT", path, sent, damaged(choose, called(choose, CHANGE, FEEDBACK_NAMES)))
    return Request("DELETE", path, sent, choose.of([b"", b"{}", b"\xff"]))


requests = st.binary(min_size=192, max_size=192).map(request)
