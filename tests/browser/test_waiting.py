"""What a page says while its numbers are counted, and how numbers stand below the heads of their columns."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.dashboard_system import Workspace, request_log
from tests.browser.visitor import Visitor

Visit = Callable[..., Visitor]
_APART = """() => {
  const text = document.createRange();
  const end = node => { text.selectNodeContents(node); return text.getBoundingClientRect().right; };
  const [first] = document.querySelectorAll("table.rows tbody tr");
  return [...document.querySelectorAll("table.rows thead th.number")]
    .filter(head => Math.abs(end(head.firstElementChild || head) - end(first.cells[head.cellIndex])) > 1.5)
    .map(head => head.innerText);
}"""


@pytest.mark.parametrize(
    ("path", "parts"),
    [("/logs", ("#overview", "#summary", "#facets")), ("/requests", ("#charts", "#tables", "#facets")),
     ("/analytics", ("#figures", "#charts", "#comparison", "#groups", "#facets"))],
)  # fmt: skip
def test_a_part_that_is_long_in_coming_says_that_it_counts(
    furnished: Workspace, visitor: Visit, path: str, parts: tuple[str, ...]
) -> None:
    page = visitor(furnished).page_with(path=path)
    for part in parts:
        expect(page.locator(part).get_by_text("Counting…")).to_be_visible()


def test_coverage_comes_without_moving_what_stands_below(furnished: Workspace, visitor: Visit) -> None:
    page = visitor(furnished).page_with("figures", path="/analytics?range=7d")
    coverage = page.locator("#coverage")
    expect(coverage.get_by_text("Counting…")).to_be_visible()
    before = page.locator("#figures").bounding_box()
    page = visitor(furnished).page_with("figures", "coverage", path="/analytics?range=7d")
    expect(page.locator("#coverage")).to_contain_text("with feedback")
    after = page.locator("#figures").bounding_box()
    assert before
    assert after
    assert abs(before["height"] - after["height"]) < 1


def test_numbers_end_where_the_heads_of_their_columns_end(furnished: Workspace, visitor: Visit) -> None:
    page = visitor(furnished).page_with(path="/logs?range=7d")
    expect(page.locator("table.rows tbody tr").first).to_be_visible()
    assert page.evaluate(_APART) == []


def test_one_request_and_one_feedback_are_told_in_the_singular(workspace: Workspace, visitor: Visit) -> None:
    workspace.log(request_log("only", _user="ada"))
    workspace.rate("only", 5)
    somebody = visitor(workspace)
    for path, text in (("/logs", "1 request"), ("/feedback", "1 feedback"), ("/analytics", "1 feedback")):
        page = somebody.page_with("facets", path=path)
        expect(page.locator("#facets .total")).to_have_text(text)
    page = somebody.page_with("charts", path="/requests")
    expect(page.locator("#charts .aside").first).to_have_text("1 user")


def test_what_no_request_tells_is_not_told_as_nothing(workspace: Workspace, visitor: Visit) -> None:
    log = request_log("silent")
    del log["response"]["body"]["usage"]
    workspace.log(log)
    somebody = visitor(workspace)
    page = somebody.page_with("charts", "tables", path="/requests")
    expect(page.locator("#charts .number-cards")).to_contain_text("no request tells them")
    expect(page.get_by_role("columnheader", name="p90").first).to_have_attribute("title", re.compile("90 %"))
    page = somebody.page_with("summary", path="/logs")
    expect(page.locator("#summary dl > div").filter(has_text="Tokens").locator("dd")).to_have_text("–")
