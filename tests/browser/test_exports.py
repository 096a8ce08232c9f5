"""What a page shows can be had as a file: of exactly its filters, and a refusal is told in words."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.dashboard_system import Workspace, request_log
from tests.browser.visitor import Visitor

Visit = Callable[..., Visitor]


def exported(page: Page, form: str, folder: Path) -> Path:
    """The file that the page makes of what it shows."""
    page.get_by_text("Export", exact=True).press("Enter")
    page.get_by_label("Format").select_option(form)
    page.get_by_role("button", name="Make a file").press("Enter")
    expect(page).to_have_url(re.compile("/exports$"))
    with page.expect_download() as download:
        page.locator("#exports tbody tr").first.get_by_role("link", name=f"Download {form}").click()
    download.value.save_as(folder / f"export.{form}")
    return folder / f"export.{form}"


def test_a_file_holds_what_the_page_shows_and_nothing_else(
    workspace: Workspace, visitor: Visit, tmp_path: Path
) -> None:
    workspace.log(*(request_log(f"trace-{n}", plan=("pro", "free")[n % 2]) for n in range(5)))
    workspace.rate_all(*({"trace_id": f"trace-{n}", "value": n} for n in range(3)))
    page = visitor(workspace).page_without_parts("/logs?range=1h&meta.plan=pro&has_feedback=true")
    expect(page.locator("#rows tbody tr")).to_have_count(2)
    rows = [json.loads(line) for line in exported(page, "jsonl", tmp_path).read_bytes().splitlines()]
    assert sorted((row["trace_id"], row["feedback_count"]) for row in rows) == [("trace-0", 1), ("trace-2", 1)]
    assert not {"request", "response"} & rows[0].keys()
    expect(page.locator("#exports tbody tr td.what")).to_contain_text("plan")

    page.goto("/feedback?value_min=1")
    expect(page.locator("#rows tbody tr")).to_have_count(2)
    with exported(page, "csv", tmp_path).open() as file:
        assert sorted(row["trace_id"] for row in csv.DictReader(file)) == ["trace-1", "trace-2"]
    expect(page.locator("#exports tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Delete").first.click()
    expect(page.locator("#exports tbody tr")).to_have_count(1)


def test_a_filter_that_no_export_takes_is_named_before_anything_is_made(workspace: Workspace, visitor: Visit) -> None:
    somebody = visitor(workspace)
    somebody.expect("status of 400")
    page = somebody.page_without_parts("/logs?colour=red")
    page.get_by_text("Export", exact=True).click()
    page.get_by_role("button", name="Make a file").click()
    expect(page.get_by_role("alert")).to_contain_text("colour")
    expect(page.locator("#exports")).to_contain_text("No exports yet")


def test_a_key_that_may_not_export_is_told_which_scope_it_lacks(workspace: Workspace, visitor: Visit) -> None:
    reader = workspace.system.key_in(workspace.name, "feedback.read")
    page = visitor(reader).page_without_parts("/feedback")
    page.get_by_text("Export", exact=True).click()
    expect(page.get_by_text("lacks the scope logs.read")).to_be_visible()
