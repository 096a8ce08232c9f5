"""What of a page the keyboard alone does not reach, or reaches without showing it."""

from playwright.sync_api import Page

# What the viewer has opened may lie over what has the focus: Escape reveals it.
_WHERE_AM_I = """() => {
  const now = document.activeElement;
  if (now === document.body || now.dataset.seen) return null;
  now.dataset.seen = "yes";
  const { outlineStyle, outlineWidth } = getComputedStyle(now), box = now.getBoundingClientRect();
  const top = document.elementFromPoint(box.x + Math.min(box.width / 2, 40), box.y + Math.min(box.height / 2, 12));
  return { what: now.outerHTML.slice(0, 120), "not marked": outlineStyle === "none" || parseFloat(outlineWidth) < 2,
    covered: !(top && (now.contains(top) || top.contains(now) || top.closest("#drawer"))) };
}"""
_UNREACHED = """() => {
  const isShown = each => each.checkVisibility({ visibilityProperty: true }) && each.getBoundingClientRect().width > 1;
  const alone = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")]
    .filter(each => isShown(each) && !each.disabled && !each.dataset.seen);
  const byMouse = [...document.querySelectorAll("body *")].filter(each => isShown(each)
    && ["pointer", "crosshair"].includes(getComputedStyle(each).cursor)
    && !each.closest("a[href], button, label, summary, select, [data-seen]"));
  return [...alone, ...byMouse].map(each => each.outerHTML.slice(0, 120));
}"""
"""What is there for the mouse and was never focused."""


def faults(page: Page) -> list[str]:
    """Those of a page as it stands: the whole of it is gone through with Tab."""
    found: list[str] = []
    while place := _after_tab(page):
        found += [f"{fault}: {place['what']}" for fault in ("not marked", "covered") if place[fault]]
    return [*found, *(f"not reached: {each}" for each in page.evaluate(_UNREACHED))]


def _after_tab(page: Page) -> dict[str, str] | None:
    page.keyboard.press("Tab")
    place: dict[str, str] | None = page.evaluate(_WHERE_AM_I)
    return place
