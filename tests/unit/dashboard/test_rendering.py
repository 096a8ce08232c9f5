"""How numbers and addresses are written on pages."""

import pytest

from dashboard.rendering import counted, metadata_text, money, short_count, url_path


@pytest.mark.parametrize(
    ("cents", "text"),
    [
        (None, "–"), (0, "$0.00"), (123_456, "$1,234.56"), (91.74, "$0.917"), (0.0237, "$0.000237"),
        (0.00432, "$0.000043"), (0.1, "$0.00100"), (50, "$0.500"), (0.00001, "<$0.000001"), (99.99, "$1.00"),
    ],
)  # fmt: skip
def test_cents_are_written_as_dollars_with_the_digits_that_count(cents: float | None, text: str) -> None:
    assert money(cents) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "–"), (0, "0"), (999, "999"), (1000, "1.00k"), (1234, "1.23k"), (999_499, "999k"), (999_600, "1.00M"),
        (12_345_678, "12.3M"), (999_999_999, "1.00B"), (10_400_000_000, "10.4B"), (12_345_678_901_234, "12,346B"),
    ],
)  # fmt: skip
def test_a_large_count_is_short_whatever_its_size(number: float | None, text: str) -> None:
    assert short_count(number) == text


@pytest.mark.parametrize(("number", "text"), [(0, "0 users"), (1, "1 user"), (2000, "2,000 users")])
def test_one_is_counted_in_the_singular(number: float, text: str) -> None:
    assert counted(number, "user") == text


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://provider.example/v1/chat/completions?a=b", "/v1/chat/completions"),
        ("https://provider.example/", "https://provider.example/"),
        ("https://provider.example", "https://provider.example"),
        ("/v1/responses", "/v1/responses"),
        ("http://[broken/path", "http://[broken/path"),
    ],
)
def test_the_path_of_an_address_says_what_was_called(url: str, path: str) -> None:
    assert url_path(url) == path


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), ("", ""), ("a 'b'", "a 'b'"), (True, "true"), (5, "5"), (1.5, "1.5"), ({"a": ["ä"]}, '{"a":["ä"]}')],
)
def test_a_value_of_metadata_is_written_as_filters_take_it(value: object, text: str) -> None:
    assert metadata_text(value) == text
