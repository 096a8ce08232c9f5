"""Where a viewer goes after signing in: to a page of this server, whatever the address asks for."""

import pytest

from dashboard.own_path import own_path


@pytest.mark.parametrize("text", ["/logs", "/trace?id=a//b", "/logs?next=https://other.example", "/a:b", "/é"])
def test_a_path_of_this_server_is_kept(text: str) -> None:
    assert own_path(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "logs", "//other.example", "///other.example", "/\\other.example", "https://other.example"),
        *("//[", "http://[x", "/\t/other.example", "/\r\n/other.example", " //other.example", "javascript:1", "?a"),
    ],
)
def test_anything_else_leads_to_the_first_page(text: str | None) -> None:
    assert own_path(text) == "/logs"
