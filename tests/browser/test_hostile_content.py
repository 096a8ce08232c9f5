"""Whatever strangers write is shown as text: nothing of it runs, breaks a page, or leads elsewhere."""

import json
import uuid
from collections.abc import Callable
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from schemas.topics import FEEDBACK_EVENTS
from tests.browser import layout
from tests.browser.dashboard_system import DashboardSystem, Json, Workspace, apart, request_log
from tests.browser.furnished import addresses
from tests.browser.visitor import Visitor, whole
from tests.pipeline.engines import until

Visit = Callable[..., Visitor]
OVERRIDE = "\u202egnp.exe\u2066 עברית العربية"
HOSTILE = {
    "script": "</script><script>document.title = 'ran'</script>",
    "image": "'\"><img src=x onerror=\"document.title='ran'\">",
    "markup": "<div hx-get='/sign-out' hx-trigger='load'></div></textarea></title><svg onload=alert(1)>",
    "template": "{{7*7}} ${7*7} {% raw %} {{request}}",
    "address": "javascript:alert(document.domain)",
    "elsewhere": "https://elsewhere.example/<b>",
    "right to left": OVERRIDE,
    "control": "\u0001\u0007\u001b[31m\u007f\u0085\u2028\ufeff\ufffe",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈 Z̸̛͓͇a̵l̷g̶o̸ 𝕳",
    "blank": " \t\u00a0\u3000\u200b ",
}
LONG = 100_000
UGLY_IDS = (
    "what?is=this&that",
    "100%",
    "a%2Fb",
    "a+b c",
    "..",
    "../../keys#top",
    "Ä;ö=ü,\"'",
    "\\\\host\\x",
)
SET_OFF = """override => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  for (let text; (text = walker.nextNode());) {
    if (!text.data.includes(override[0]) || text.parentElement.closest("pre, option")) continue;
    let box = text.parentElement;
    const isOpen = ({ unicodeBidi, display }) => unicodeBidi === "normal" && display === "inline";
    while (isOpen(getComputedStyle(box))) box = box.parentElement;
    if (box.textContent.trim() !== text.data.trim()) found.push(box.outerHTML.slice(0, 200));
  }
  return found;
}"""
"""Where a text that turns the direction of what follows stands in one line with other text."""


def log_of(text: str, trace_id: str = "") -> Json:
    """A request with this text in everything that a stranger may set."""
    said = {"role": text, "content": text}
    specials = dict.fromkeys(("_user", "_organisation", "_prompt", "_environment"), text)
    return {
        "request": {
            "url": "https://provider.example/" + text, "provider": text,
            "body": {"model": text, "messages": [said, {"role": "user", "content": [{"type": text, "text": text}]}]},
        },
        "response": {
            "status": 200, "response_time": 5,
            "body": {"choices": [{"message": said | {"tool_calls": [{"function": {"name": text}}]}}]},
        },
        "metadata": {"trace_id": trace_id or text, "span_id": "s", "span_name": text, **specials, f"key {text}": text},
    }  # fmt: skip


def rating_of(text: str, trace_id: str = "") -> Json:
    metadata = {"comment": text, "_user": text, "_prompt": text, f"key {text}": text}
    return {"trace_id": trace_id or text, "value": -3, "weight": 0.5, "metadata": metadata}


@pytest.fixture(scope="module")
def attacked(system: DashboardSystem) -> Workspace:
    """A workspace whose every field has been used for an attack, with dead letters and a key of such a name."""
    workspace = system.workspace()
    workspace.log(*map(log_of, HOSTILE.values()))
    workspace.rate_all(*map(rating_of, HOSTILE.values()))
    long = "W" * LONG
    workspace.log(log_of("long", "long") | {"request": {"url": "https://p.example", "body": {"model": "m", "messages": [
        {"role": "user", "content": long}]}}, "response": {"status": 200, "body": {"choices": [{"message": {
            "role": "assistant", "content": "אב" * (LONG // 2)}}]}}})  # fmt: skip
    workspace.rate_all(rating_of("m" * 5_000, "long") | {"metadata": {"comment": "x" * 60_000, "_user": "u" * 500}})
    for text in HOSTILE.values():
        event = {"workspace": workspace.name, "event": text, "feedback_id": str(uuid.uuid4()), text: text}
        apart(system.produce, FEEDBACK_EVENTS, 0, json.dumps(event, ensure_ascii=False).encode())
    reply = workspace.call("POST", "/v1/admin/keys", {"name": HOSTILE["image"], "scopes": ["logs.read"]})
    assert reply.status_code == 200, reply.text

    def letters() -> bool:
        found = workspace.call("GET", "/v1/admin/dead-letters").json()["data"]
        return len(found) == len(HOSTILE)

    until(letters, "the letters are dead")
    return workspace


HARM = """() => {
  const alive = "img, iframe, object, embed, #page script, [onerror], [onload], [hx-get='/sign-out']";
  const found = [...document.querySelectorAll(alive)].map(each => each.outerHTML.slice(0, 200));
  for (const { href, action } of document.querySelectorAll("a[href], form[action]"))
    if (new URL(href || action, location.href).origin !== location.origin) found.push(href || action);
  if (document.title === "ran") found.push("a script has run");
  for (const each of document.querySelectorAll("details:not(.menu)")) each.open = true;
  return found;
}"""
"""What is more than text, or leads elsewhere. It opens all that lies folded."""


def harm(page: Page) -> list[str]:
    """What the text of strangers does to a page, wide and narrow."""
    found: list[str] = page.evaluate(HARM)
    for width in (360, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        found += [f"{width}: {each}" for each in layout.faults(page)]
    found += page.evaluate(SET_OFF, OVERRIDE)
    return found


_FOUND = """async ([address, selectors]) => {
  const answer = await (await fetch(address)).text(), page = new DOMParser().parseFromString(answer, "text/html");
  return selectors.map(selector => [...page.querySelectorAll(selector)].map(each => each.textContent));
}"""


def found_at(page: Page, address: str, *selectors: str) -> list[list[str]]:
    """The texts that the page at this address has at each of these places. It is not shown for it."""
    texts: list[list[str]] = page.evaluate(_FOUND, [address, selectors])
    return texts


def test_hostile_text_does_nothing_on_any_page(attacked: Workspace, visitor: Visit) -> None:
    page = visitor(attacked).page()
    found = {}
    for name, address in addresses(HOSTILE["image"]).items():
        whole(page, address)
        found[name] = harm(page)
        if name in ("logs", "feedback", "analytics", "keys", "pipeline", "trace"):
            assert "<img src=x onerror=" in page.locator("main").inner_text(), name
    assert not any(found.values()), json.dumps(found, indent=1, ensure_ascii=False)


def test_each_hostile_trace_shows_as_it_was_written(attacked: Workspace, visitor: Visit) -> None:
    page = visitor(attacked).page_without_parts()
    found = {}
    for name, text in (HOSTILE | {"long": "long"}).items():
        trace = quote(text, safe="")
        only = "" if name == "blank" else f"&trace_id={trace}"  # a filter is taken without the space around it
        page.goto(f"/feedback?open={trace}{only}")
        assert page.locator("#drawer h1").text_content() == text
        expect(page.locator("#rows tbody tr")).to_have_count(1 if only else len(HOSTILE) + 1)
        found[name] = harm(page)
        page.keyboard.press("Escape")
        expect(page.locator("#drawer")).to_be_hidden()
        found[name] += harm(page)
    page.goto("/trace?id=long")
    assert "W" * LONG in page.locator(".said").first.inner_text()
    assert not any(found.values()), json.dumps(found, indent=1, ensure_ascii=False)


def test_what_an_address_asks_for_does_nothing_either(workspace: Workspace, visitor: Visit) -> None:
    somebody = visitor(workspace)
    somebody.expect("status of 40[04]|cannot be parsed")
    page = somebody.page()
    names = ("trace_id", "ai_model", "user", "cost_min", "range", "by", "sort", "against", "open", "span", "id",
             "meta.<b>", "cursor", "comment", "next", "reason", "<script>")  # fmt: skip
    found = {}
    for name, other in (("script", "image"), ("right to left", "control")):
        text = quote(HOSTILE[name] + HOSTILE[other], safe="")
        asked = "&".join(f"{quote(each)}={text}" for each in names)
        for path in ("/logs", "/feedback", "/analytics", "/requests", "/trace", "/pipeline", "/sign-in"):
            page.goto(f"{path}?{asked}")
            found[f"{path} {name}"] = harm(page)
    assert not any(found.values()), json.dumps(found, indent=1, ensure_ascii=False)


def test_ids_of_any_letters_lead_to_their_own_trace_and_filter(workspace: Workspace, visitor: Visit) -> None:
    workspace.log(*(request_log(each, _user=each, topic=each) for each in UGLY_IDS))
    page = visitor(workspace).page()
    whole(page, "/logs?columns=trace&columns=user")
    for each in UGLY_IDS:
        exactly = page.get_by_text(each, exact=True)
        page.locator("#rows tbody tr").filter(has=exactly.first).first.click()
        expect(page.locator("#drawer h1")).to_have_text(each)
        alone = page.get_by_role("link", name="Open as a page").evaluate("link => link.href")
        filtered = page.locator("#facets").get_by_role("link").filter(has=exactly).last.evaluate("link => link.href")
        assert found_at(page, page.url, "h1.id") == found_at(page, alone, "h1.id") == [[each]]
        rows, chosen = found_at(page, filtered, "#rows tbody tr", ".chosen li a")
        assert (len(rows), each in chosen[0]) == (1, True)
        page.keyboard.press("Escape")
        expect(page.locator("#drawer")).to_be_hidden()
