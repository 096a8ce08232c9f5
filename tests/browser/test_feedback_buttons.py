"""`<feedback-buttons>` in a page of another origin: one vote a voter, whatever goes away in the middle."""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from feedback_client import vote_token
from tests.browser.axe import OPTIONS, RULES
from tests.browser.dashboard_system import DashboardSystem, Workspace
from tests.browser.voting_page import EXAMPLE, Device, app
from tests.pipeline.engines import answers, until


@dataclass
class Answer:
    """An answer that an app shows, in a workspace of its own, and the devices that look at it."""

    system: DashboardSystem
    workspace: Workspace
    browser: Browser
    trace: str = field(default_factory=lambda: f"trace-{uuid.uuid4()}")
    html: str = ""
    devices: list[Device] = field(default_factory=list)

    def show(self, attributes: str = "", lang: str = "en", **allowed: Any) -> None:
        token = vote_token(self.trace, api_key=self.workspace.key, **{"user": "u7", **allowed})
        html = EXAMPLE.replace("SERVER", self.system.url).replace("TOKEN", token).replace("my-trace", self.trace)
        self.html = html.replace("<feedback-buttons", f"<feedback-buttons {attributes}").replace('"en"', f'"{lang}"')

    def device(self, locale: str = "en-GB") -> Device:
        self.devices.append(Device(self.browser, locale))
        return self.devices[-1]

    def open(self) -> Page:
        return self.device().open(self.system.page_origin)

    def stored(self) -> list[dict[str, Any]]:
        rows = self.system.sql(
            "SELECT toString(feedback_id) AS id, value, toFloat64(weight) AS weight, metadata FROM feedback.feedback"
            " WHERE workspace = {w:String} AND trace_id = {t:String}",
            w=self.workspace.name, t=self.trace,
        )  # fmt: skip
        return [{**row, "metadata": json.loads(row["metadata"])} for row in rows]

    def becomes(self, *values: int) -> list[dict[str, Any]]:
        until(lambda: [row["value"] for row in self.stored()] == [*values], f"{values} is stored")
        return self.stored()


def good(page: Page) -> Locator:
    return page.get_by_role("button", name="Good answer")


def bad(page: Page) -> Locator:
    return page.get_by_role("button", name="Bad answer")


def is_pressed(button: Locator, pressed: bool = True) -> None:
    expect(button).to_have_attribute("aria-pressed", "true" if pressed else "false")


def bring_back(system: DashboardSystem) -> None:
    """Start the edge again if it is gone."""
    if not system.edge.running:
        system.edge.start()
        until(lambda: answers(f"{system.url}/readyz"), "the edge is ready")


@pytest.fixture
def answer(system: DashboardSystem, browser: Browser) -> Iterator[Answer]:
    workspace = system.workspace("feedback.token")
    made = Answer(system, workspace, browser)
    made.show()
    with app(system.page_port, lambda: made.html):
        yield made
        # Other tests need it even where this one has failed.
        bring_back(system)
        troubles = [trouble for each in made.devices for trouble in each.troubles]
        for each in made.devices:
            each.context.close()
    assert not troubles, "\n".join(troubles)


def test_a_vote_is_stored_once_and_a_second_one_changes_it_from_any_device(answer: Answer) -> None:
    page = answer.open()
    good(page).click()
    is_pressed(good(page))
    expect(page.get_by_role("status")).to_have_text("Thank you")
    (first,) = answer.becomes(1)
    assert (first["weight"], first["metadata"]) == (1.0, {"_user": "u7"})
    answer.show(weight=0.5)
    other = answer.open()
    bad(other).click()
    expect(other.get_by_role("status")).to_have_text("Thank you")
    (second,) = answer.becomes(0)
    assert (second["id"], second["weight"]) == (first["id"], 0.5)


def test_a_vote_can_be_taken_back_and_given_again(answer: Answer) -> None:
    page = answer.open()
    good(page).click()
    (first,) = answer.becomes(1)
    good(page).click()
    is_pressed(good(page), False)
    expect(page.get_by_role("status")).to_have_text("Taken back")
    answer.becomes()
    bad(page).click()
    (again,) = answer.becomes(0)
    assert again["id"] == first["id"]


def test_words_go_along_and_can_be_changed_by_the_keyboard_alone(answer: Answer) -> None:
    page = answer.open()
    page.keyboard.press("Tab")
    expect(good(page)).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    is_pressed(bad(page))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Comment")).to_be_focused()
    page.keyboard.type("too long")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Comment")).to_be_focused()
    until(lambda: [row["metadata"].get("comment") for row in answer.stored()] == ["too long"], "the words are stored")
    page.reload()
    is_pressed(bad(page))
    page.get_by_role("button", name="Comment").click()
    expect(page.get_by_role("textbox")).to_have_value("too long")
    page.get_by_role("textbox").fill("far too long <b>&")
    page.get_by_role("button", name="Send").click()
    until(lambda: [row["metadata"].get("comment") for row in answer.stored()] == ["far too long <b>&"], "changed")
    page.get_by_role("button", name="Comment").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("textbox")).to_have_count(0)


def test_a_vote_outlasts_a_server_that_is_away_and_a_page_that_is_left(answer: Answer) -> None:
    device = answer.device()
    page = device.open(answer.system.page_origin)
    answer.system.edge.kill()
    good(page).click()
    expect(page.get_by_role("status")).to_have_text("Not sent yet: trying again")
    bad(page).click()
    is_pressed(bad(page))
    bring_back(answer.system)
    expect(page.get_by_role("status")).to_have_text("Thank you")
    (first,) = answer.becomes(0)
    answer.system.edge.kill()
    good(page).click()
    expect(page.get_by_role("status")).to_have_text("Not sent yet: trying again")
    page.close()
    bring_back(answer.system)
    later = device.open(answer.system.page_origin)
    is_pressed(good(later))
    (second,) = answer.becomes(1)
    assert second["id"] == first["id"]
    device.troubles[:] = [each for each in device.troubles if "ERR_CONNECTION" not in each]


def test_an_answer_that_is_cut_off_leads_to_no_second_vote(answer: Answer) -> None:
    device = answer.device()
    page = device.open(answer.system.page_origin)
    page.route("**/v1/feedback/vote", lambda route: (route.fetch(), route.abort()), times=2)
    good(page).click()
    expect(page.get_by_role("status")).to_have_text("Thank you")
    answer.becomes(1)
    device.troubles[:] = [each for each in device.troubles if "ERR_FAILED" not in each]


def test_a_refused_vote_is_told_and_not_kept(answer: Answer) -> None:
    page = answer.open()
    good(page).click()
    answer.becomes(1)
    answer.system.revoke(answer.workspace)
    bad(page).click()
    expect(page.get_by_role("status")).to_have_text("Could not be saved")
    is_pressed(good(page))
    answer.devices[0].troubles[:] = [each for each in answer.devices[0].troubles if "status of 401" not in each]


def test_many_votes_and_more_values_where_the_token_allows_them(answer: Answer) -> None:
    answer.show(votes="many", values=[-10, 0, 10])
    for value in ("10", "-10"):
        page = answer.open()
        page.get_by_role("button", name=re.compile(f"^{value}$")).click()
        expect(page.get_by_role("status")).to_have_text("Thank you")
    until(lambda: sorted(row["value"] for row in answer.stored()) == [-10, 10], "both are stored")


@pytest.mark.parametrize(
    ("lang", "label"),
    [("en", "Good answer"), ("de", "Gute Antwort"), ("es-MX", "Buena respuesta"), ("fr", "Bonne réponse"),
     ("pt-BR", "Boa resposta"), ("eo", "Good answer")],
)  # fmt: skip
def test_labels_are_in_the_language_of_the_page(answer: Answer, lang: str, label: str) -> None:
    answer.show(lang=lang)
    expect(answer.open().get_by_role("button", name=label)).to_be_visible()


def test_axe_finds_no_fault_in_any_state(answer: Answer) -> None:
    page = answer.open()
    page.evaluate(Axe().axe_script)

    def faults() -> list[str]:
        found = page.evaluate("options => axe.run(options)", {**OPTIONS, "runOnly": RULES})
        assert found["passes"], "axe has looked at nothing"
        return [f"{each['id']}: {node['failureSummary']}" for each in found["violations"] for node in each["nodes"]]

    assert faults() == []
    good(page).click()
    page.get_by_role("button", name="Comment").click()
    assert faults() == []


def test_an_app_hears_of_votes_and_gives_the_buttons_its_looks(answer: Answer) -> None:
    answer.show(attributes='no-comment id="buttons"')
    page = answer.open()
    page.evaluate("""() => {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync("#buttons { --feedback-accent: rgb(1, 2, 3) } #buttons::part(up) { border-width: 7px }");
        document.adoptedStyleSheets = [sheet];
        window.heard = new Promise(tell => document.addEventListener("feedback-saved", event => tell(event.detail)));
    }""")
    good(page).click()
    heard = page.evaluate("heard")
    assert (heard["value"], heard["status"], len(heard["feedback_ids"])) == (1, "success", 1) or heard["value"] == 1
    styled: Callable[[str], str] = lambda name: str(good(page).evaluate(f"each => getComputedStyle(each).{name}"))  # noqa: E731
    assert (styled("color"), styled("borderTopWidth")) == ("rgb(1, 2, 3)", "7px")
    expect(page.get_by_role("button", name="Comment")).to_have_count(0)


def test_a_page_of_an_origin_that_is_not_named_cannot_vote(answer: Answer) -> None:
    device = answer.device()
    page = device.open(answer.system.page_origin.replace("127.0.0.1", "localhost"))
    good(page).click()
    expect(page.get_by_role("status")).to_have_text("Not sent yet: trying again")
    assert answer.stored() == []
    device.troubles[:] = [each for each in device.troubles if not re.search("CORS|ERR_FAILED", each)]
