"""Dead letters on /pipeline: what pressing "Redrive" does, and what the page says of it."""

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.dashboard_system import Workspace
from tests.browser.visitor import Visitor
from tests.pipeline.engines import until

Visit = Callable[..., Visitor]


def letters(workspace: Workspace) -> int:
    return len(workspace.call("GET", "/v1/admin/dead-letters").json()["data"])


def test_a_letter_is_redriven_once_however_often_it_is_pressed(workspace: Workspace, visitor: Visit) -> None:
    known = workspace.rate("some trace", 1)
    unknown = known[:-1] + ("1" if known[-1] == "0" else "0")
    assert workspace.call("PUT", f"/v1/feedback/{unknown}", {"value": 3}).ok
    until(lambda: letters(workspace) == 1, "the change of unknown feedback is dead")
    page = visitor(workspace).page_without_parts("/pipeline")
    section = page.locator("#letters")
    section.locator("summary").click()
    with page.expect_response("**/pipeline/redrive"):
        section.get_by_role("button", name="Redrive", exact=True).dblclick()
    told = section.get_by_role("status")
    expect(told).to_contain_text("1 sent through again")
    expect(told).to_be_in_viewport()
    assert page.evaluate("document.getElementById('letters').contains(document.activeElement)")

    until(lambda: letters(workspace) == 2, "the letter came back, as nothing was repaired")
    told.get_by_role("link", name="Look again").click()
    expect(section.get_by_role("status")).to_have_count(0)
    expect(section.locator("details")).to_have_count(2)
    expect(section.get_by_text("sent again", exact=True)).to_have_count(1)
    section.get_by_role("button", name=re.compile("Redrive 2 shown")).click()
    expect(told).to_contain_text("1 left: sent through before")
