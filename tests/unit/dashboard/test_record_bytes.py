"""Bytes of records are shown so that nothing in them is hidden, lost or carried out."""

import base64

from hypothesis import given
from hypothesis import strategies as st

from dashboard.record_bytes import hex_dump, readable, visible


@given(st.text())
def test_text_that_is_shown_hides_no_character(text: str) -> None:
    shown = visible(text)
    assert all(each.isprintable() or each.isspace() for each in shown)
    assert not set(shown) & {"\0", "\r", "\x1b", "\u202e", "\u2066", "\u200b", "\ufeff", "\u2028"}


def test_what_people_write_stays_as_it_is() -> None:
    text = "a\tb\nשלום 👍 é <script>"
    assert visible(text) == text
    assert visible("\0\x1b\x7f\u202e") == "␀␛\\u007f\\u202e"


@given(st.binary(max_size=600))
def test_a_dump_has_every_byte(value: bytes) -> None:
    lines = hex_dump(value).splitlines()
    assert bytes.fromhex("".join(line[8:55] for line in lines)) == value
    assert readable(base64.b64encode(value).decode(), "base64") == hex_dump(value)


def test_a_long_dump_says_that_it_goes_on() -> None:
    assert hex_dump(bytes(1025)).endswith("\n…")
    assert len(hex_dump(bytes(10**6))) < 6000
