"""One trace: what was said, and feedback that is added, corrected and deleted by hand."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, Route, expect

from tests.browser import axe
from tests.browser.dashboard_system import Workspace, request_log
from tests.browser.visitor import Visitor

Visit = Callable[..., Visitor]


def add(page: Page, value: str, weight: str, comment: str) -> None:
    form = page.locator("form.rate")
    form.get_by_label("Value").fill(value)
    form.get_by_label("Weight").fill(weight)
    form.get_by_label("Comment").fill(comment)
    form.get_by_role("button", name="Add").click()


def test_feedback_is_added_corrected_and_deleted_in_the_drawer(workspace: Workspace, visitor: Visit) -> None:
    workspace.log(request_log("rated", said="How do I reset it?"))
    somebody = visitor(workspace)
    somebody.context.clock.install()
    page = somebody.page_without_parts("/logs?open=rated")
    drawer = page.locator("#drawer")
    expect(drawer.locator(".said").first).to_have_text("How do I reset it?")
    add(page, "4", "0.5", "Nearly right")
    expect(drawer.locator("blockquote")).to_have_text("Nearly right")
    expect(drawer.locator(".opinions .pair")).to_contain_text("value +4, weight 0.5")
    # The list and the figures follow by themselves.
    somebody.skip_an_interval()
    expect(page.locator("td.count")).to_have_text("1")
    expect(page.locator(".figures")).to_contain_text("+4.00")

    drawer.locator(".opinions summary.quiet").click()
    drawer.locator(".opinions").get_by_label("Value").fill("-6")
    drawer.get_by_role("button", name="Correct").click()
    expect(drawer.locator(".opinions .pair")).to_contain_text("value −6, weight 0.5")
    expect(drawer.locator(".opinions summary.quiet")).to_contain_text("2 events")
    expect(page.locator(".figures")).to_contain_text("−6.00")

    drawer.locator(".opinions summary.quiet").click()
    # Esc takes nothing but the question away; Enter opens it again.
    drawer.locator(".confirm > summary").click()
    expect(drawer.get_by_role("button", name="Delete for good")).to_be_visible()
    assert not axe.faults(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(drawer.get_by_role("button", name="Delete for good")).to_be_hidden()
    expect(drawer.locator(".confirm > summary")).to_be_focused()
    for key in ("Enter", "Tab", "Enter"):
        page.keyboard.press(key)
    expect(drawer.locator(".opinions")).to_contain_text("Deleted")
    expect(drawer.locator(".opinions li").first).to_be_focused()
    somebody.skip_an_interval()
    expect(page.locator("td.count")).to_have_text("0")
    expect(page.locator(".figures div").filter(has_text="Feedback Count").locator("dd")).to_have_text("0")


def test_what_is_opened_or_typed_soon_after_feedback_was_given_stays(workspace: Workspace, visitor: Visit) -> None:
    """For some seconds the drawer asks every second whether the new feedback is stored."""
    workspace.log(request_log("at once"))
    somebody = visitor(workspace)
    somebody.context.clock.install()
    page = somebody.page_without_parts("/logs?open=at+once")
    feedback = page.locator("#trace-feedback")
    for opened in (True, False):
        add(page, "4", "0.5", "Nearly right")
        expect(feedback.locator("blockquote")).to_have_count(1 if opened else 2)
        typed = feedback.get_by_label("Comment")
        if opened:
            feedback.locator(".opinions summary.quiet").click()
            typed = feedback.locator(".opinions").get_by_label("Value")
        typed.fill("-6")
        somebody.skip_an_interval()
        page.evaluate("fetch(location.href).then(reply => reply.text())")  # longer than an answer takes
        expect(typed).to_have_value("-6")
        typed.fill(typed.evaluate("field => field.defaultValue"))


def test_a_value_that_the_api_refuses_is_told_and_stays_to_be_corrected(workspace: Workspace, visitor: Visit) -> None:
    workspace.log(request_log("refused"))
    somebody = visitor(workspace)
    somebody.expect("status of 400")
    page = somebody.page("/trace?id=refused")
    form = page.locator("form.rate")
    form.evaluate("form => form.noValidate = true")
    for refused in ("11", "12"):
        add(page, refused, "1", "A long comment")
        expect(form.get_by_role("alert")).to_have_count(1)
        expect(form.get_by_role("alert")).to_contain_text(re.compile(f"alue must be .*10, got {refused}"))
    expect(page).to_have_url(re.compile(r"/trace\?id=refused$"))
    expect(form.get_by_label("Comment")).to_have_value("A long comment")
    form.get_by_label("Value").fill("10")
    form.get_by_role("button", name="Add").click()
    expect(page.locator("#trace-feedback blockquote")).to_have_text("A long comment")


def test_feedback_that_is_sent_twice_counts_once(workspace: Workspace, visitor: Visit) -> None:
    """Pressed twice; and pressed again after an answer that was lost."""
    workspace.log(request_log("twice"))
    somebody = visitor(workspace)
    somebody.expect("ERR_FAILED|Failed to fetch|htmx:error")
    page = somebody.page("/trace?id=twice")
    form, comments = page.locator("form.rate"), page.locator("#trace-feedback blockquote")
    form.get_by_label("Value").fill("3")
    form.get_by_label("Comment").fill("Pressed twice")
    form.get_by_role("button", name="Add").dblclick()
    expect(comments).to_have_text(["Pressed twice"])

    def lose_the_answer(route: Route) -> None:
        route.fetch(max_redirects=0)
        route.abort()

    page.route("**/feedback/add", lose_the_answer, times=1)
    add(page, "4", "1", "Sent again")
    expect(form.get_by_role("alert")).to_contain_text("not known whether this has come")
    form.get_by_role("button", name="Add").click()
    expect(comments).to_have_text(["Sent again", "Pressed twice"])
    add(page, "5", "1", "Another")
    expect(comments).to_have_text(["Another", "Sent again", "Pressed twice"])


def test_what_a_form_has_changed_is_seen_and_read_on_from(workspace: Workspace, visitor: Visit) -> None:
    workspace.log(request_log("long", said="Line\n" * 200))
    page = visitor(workspace).page_without_parts("/logs?open=long")
    add(page, "4", "1", "Below all that")
    told = page.locator("#trace-feedback").get_by_text("Accepted")
    expect(told).to_be_in_viewport()
    expect(page.locator("form.rate").get_by_role("button", name="Add")).to_be_focused()


def test_a_key_without_the_scope_sees_no_forms(workspace: Workspace, visitor: Visit) -> None:
    workspace.log(request_log("to-be-read"))
    workspace.rate("to-be-read", 2)
    reader = workspace.system.key_in(workspace.name, "logs.read", "feedback.read")
    page = visitor(reader).page("/trace?id=to-be-read")
    expect(page.locator(".opinions .pair")).to_have_count(1)
    assert page.get_by_role("button", name=re.compile("Add|Correct|Delete")).count() == 0


def test_metadata_of_every_kind_leads_to_the_requests_that_say_it(workspace: Workspace, visitor: Visit) -> None:
    said = {"flag": True, "size": 5, "list": {"a": [1, "ö"]}, "plan": "pro"}
    said |= {"nothing": None, "blank": " ", "long": "x" * 9999}
    workspace.log(request_log("one", **said), request_log("other", flag=False))
    workspace.rate("one", 3, flag=False, comment={"why": None})
    page = visitor(workspace).page_without_parts("/trace?id=one")
    expect(page.locator("blockquote")).to_have_text('{"why":null}')
    page.locator(".opinions summary.quiet").click()
    expect(page.locator(".opinions .fact").filter(has_text="flag")).to_have_text("flag false")
    facts = page.locator(".facts")
    for key, text in (("flag", "true"), ("size", "5"), ("list", '{"a":[1,"ö"]}'), ("plan", "pro")):
        page.goto("/trace?id=one")
        facts.locator("div").filter(has=page.get_by_text(key, exact=True)).get_by_role("link", name=text).click()
        expect(page.locator(".chosen")).to_contain_text(text)
        expect(page.locator("#rows tbody tr")).to_have_count(1)
    page.goto("/trace?id=one")
    for key in ("nothing", "blank", "long"):
        expect(facts.locator("div").filter(has=page.get_by_text(key, exact=True)).get_by_role("link")).to_have_count(0)


def test_a_trace_of_more_requests_than_it_shows_leads_to_all_of_them(workspace: Workspace, visitor: Visit) -> None:
    workspace.log(*(request_log("a/long #1") for _ in range(101)))
    page = visitor(workspace).page_without_parts("/trace?id=a%2Flong%20%231")
    page.get_by_role("link", name="All requests of this trace").click()
    expect(page.locator(".chosen")).to_contain_text("a/long #1")
    expect(page.locator("#rows tbody tr")).to_have_count(50)


def test_each_request_of_a_trace_shows_its_own_conversation(workspace: Workspace, visitor: Visit) -> None:
    workspace.log(
        request_log("tree", said="First", span_id="a", span_name="retrieve"),
        request_log("tree", said="Second", span_id="b", parent_span_id="a", span_name="answer"),
    )
    page = visitor(workspace).page_without_parts("/logs")
    page.locator("#rows tbody tr").first.click()
    drawer = page.locator("#drawer")
    for name, said in (("answer", "Second"), ("retrieve", "First")):
        drawer.locator(".spans a").filter(has_text=name).click()
        expect(drawer.locator(".said").first).to_have_text(said)
        expect(drawer.locator(".spans li[aria-current]")).to_contain_text(name)
    drawer.locator(".facts a").filter(has_text="gpt-4o").click()
    expect(page.locator(".chosen")).to_contain_text("gpt-4o")
    expect(page.locator("#rows tbody tr")).to_have_count(2)
    page.go_back()
    page.get_by_role("link", name="Open as a page").click()
    expect(page).to_have_url(re.compile("/trace"))
    expect(page.locator("h1.id")).to_have_text("tree")


def test_a_picture_of_a_message_is_shown_and_none_is_loaded_from_elsewhere(
    workspace: Workspace, visitor: Visit
) -> None:
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
    logged = request_log("pictures")
    logged["request"]["body"]["messages"][0]["content"] = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{pixel}"}},
        {"type": "image_url", "image_url": {"url": "https://pictures.example/cat.png"}},
        {"type": "image_url", "image_url": {"url": "javascript:alert(1)"}},
    ]
    workspace.log(logged)
    page = visitor(workspace).quiet_page("/trace?id=pictures")
    assert page.locator(".talk img").evaluate_all("all => all.map(each => each.naturalWidth)") == [1]
    expect(page.locator(".talk a")).to_have_text("https://pictures.example/cat.png")
    assert not axe.faults(page)
