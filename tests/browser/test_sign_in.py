"""Who sees what: signing in with a key, and what a key, another workspace and another site can and cannot do."""

import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, expect

from runtime.request_headers import SESSION_COOKIE
from tests.browser.dashboard_system import Workspace, request_log
from tests.browser.visitor import Visitor

Visit = Callable[..., Visitor]


def session_cookies(context: BrowserContext) -> list[str]:
    return [each["value"] for each in context.cookies() if each["name"] == SESSION_COOKIE]


def test_a_key_signs_in_and_leads_to_the_page_that_was_asked_for(workspace: Workspace, visitor: Visit) -> None:
    workspace.log(request_log("mine"))
    somebody = visitor()
    somebody.expect("status of 401")
    page = somebody.page_without_parts("/logs?trace_id=mine")
    expect(page).to_have_url(re.compile("/sign-in"))
    for wrong in ("fbk_nonsense", "ключ", workspace.key[:-1] + "x"):
        page.get_by_label("API key").fill(wrong)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        assert session_cookies(somebody.context) == []
    page.goto("/logs?trace_id=mine")
    page.get_by_label("API key").fill(f" {workspace.key} ")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(r"/logs\?trace_id=mine"))
    expect(page.locator("#rows tbody tr")).to_have_count(1)
    expect(page.locator(".workspace")).to_have_text(workspace.name)
    (cookie,) = [each for each in somebody.context.cookies() if each["name"] == SESSION_COOKIE]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["expires"]) == (True, "Lax", -1)
    assert workspace.key not in page.content()
    assert page.evaluate("document.cookie").count(SESSION_COOKIE) == 0
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/sign-in"))
    assert session_cookies(somebody.context) == []
    page.goto("/logs")
    expect(page).to_have_url(re.compile("/sign-in"))


def test_a_revoked_key_ends_the_session_at_the_next_click_and_poll(workspace: Workspace, visitor: Visit) -> None:
    workspace.log(*(request_log(f"trace-{n}") for n in range(2)))
    somebody = visitor(workspace)
    somebody.context.clock.install()
    # A part that comes later would ask with the revoked key before the click.
    clicking, looking = (somebody.page_without_parts("/logs") for _ in range(2))
    expect(clicking.locator("#rows tbody tr")).to_have_count(2)
    clicking.keyboard.press("p")
    workspace.system.revoke(workspace)
    clicking.locator("#rows tbody tr").first.click()
    expect(clicking).to_have_url(re.compile("/sign-in"))
    looking.bring_to_front()
    somebody.skip_an_interval()
    expect(looking).to_have_url(re.compile("/sign-in.next=%2Flogs$"))


def test_a_form_that_a_revoked_key_sends_keeps_what_was_typed(workspace: Workspace, visitor: Visit) -> None:
    workspace.log(request_log("typed"))
    other = workspace.system.key_in(workspace.name)
    somebody = visitor(workspace)
    somebody.expect("status of 401")
    page = somebody.page("/trace?id=typed")
    form = page.locator("form.rate")
    form.get_by_label("Value").fill("4")
    form.get_by_label("Comment").fill("A long comment")
    workspace.system.revoke(workspace)
    form.get_by_role("button", name="Add").click()
    with page.expect_popup() as opened:
        form.get_by_role("link", name="Sign in").click()
    beside = opened.value
    expect(beside.get_by_role("alert")).to_contain_text("was revoked")
    beside.get_by_label("API key").fill("fbk_nonsense")
    beside.get_by_role("button", name="Sign in").click()
    expect(beside.get_by_role("alert")).to_be_visible()
    beside.get_by_label("API key").fill(other.key)
    beside.get_by_role("button", name="Sign in").click()
    expect(beside).to_have_url(re.compile(r"/trace\?id=typed$"))
    form.get_by_role("button", name="Add").click()
    expect(page.locator("#trace-feedback blockquote")).to_have_text("A long comment")


def test_two_workspaces_see_only_their_own(workspace: Workspace, visitor: Visit) -> None:
    other = workspace.system.workspace()
    for own in (workspace, other):
        own.log(request_log("same-name", said=f"Secret of {own.name}", _user=f"user-of-{own.name}"))
        own.rate("same-name", 5, comment=f"Comment of {own.name}")
    for own, foreign in ((workspace, other), (other, workspace)):
        page = visitor(own).page_with("facets", path="/logs?open=same-name")
        expect(page.locator("#drawer .said").first).to_have_text(f"Secret of {own.name}")
        expect(page.locator("#rows tbody tr")).to_have_count(1)
        expect(page.locator("#drawer blockquote")).to_have_text(f"Comment of {own.name}")
        expect(page.locator("#facets")).to_contain_text(f"user-of-{own.name}")
        assert foreign.name not in page.content()


def test_another_site_can_send_no_form_and_frame_no_page(workspace: Workspace, visitor: Visit) -> None:
    workspace.log(request_log("attacked"))
    victim = visitor(workspace)
    victim.expect("another origin|status of 403|frame-ancestors|X-Frame-Options|chrome-error|violates")
    url = workspace.system.url
    # The same machine under another name is another site, and no other server is needed.
    evil = url.replace("127.0.0.1", "localhost")
    page = victim.page()
    page.route(f"{evil}/**", lambda route: route.fulfill(body="<title>evil</title>", content_type="text/html"))
    for action, fields in {
        "/feedback/add": {"trace_id": "attacked", "value": "-10", "next": "/logs"},
        "/sign-out": {},
        "/sign-in": {"key": workspace.key, "next": "/logs"},
    }.items():
        page.goto(f"{evil}/")
        inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
        page.set_content(f'<form method="post" action="{url}{action}">{inputs}<button>Win a prize</button></form>')
        with page.expect_response(lambda answer, action=action: answer.url == url + action) as answered:
            page.get_by_role("button").click()
        assert answered.value.status == 403 or action == "/sign-out"
    assert session_cookies(victim.context) == [workspace.key]
    assert workspace.call("GET", "/v1/feedback").json()["data"] == []
    for path in ("/logs", "/trace?id=attacked", "/sign-in"):
        page.goto(f"{evil}/")
        with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
            page.set_content(f'<iframe src="{url}{path}"></iframe>')
