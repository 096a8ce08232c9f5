// What the pages do beyond links and forms: times in the viewer's zone, live lists, keys, the switch of light and dark.
"use strict";

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (!document.cookie.includes("feedback_zone=" + encodeURIComponent(zone)))
  document.cookie = `feedback_zone=${encodeURIComponent(zone)}; path=/; max-age=31536000; samesite=lax`;

const today = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const earlier = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const otherYear = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const shortestFor = (at, now = new Date()) => (at.toDateString() === now.toDateString() ? today : at.getFullYear() === now.getFullYear() ? earlier : otherYear);

// A time, shown in the viewer's zone; the title says it in UTC.
customElements.define("local-time", class extends HTMLElement {
  static observedAttributes = ["datetime"];
  connectedCallback() { this.show(); }
  attributeChangedCallback() { if (this.isConnected) this.show(); }
  show() {
    const at = new Date(this.getAttribute("datetime"));
    if (isNaN(at)) return;
    this.textContent = shortestFor(at).format(at);
  }
});

// A time to be typed in the viewer's zone and sent in UTC. One that nobody touches is sent as it was, to the millisecond.
customElements.define("local-field", class extends HTMLElement {
  connectedCallback() {
    const at = new Date(this.getAttribute("datetime"));
    this.shown = isNaN(at) ? "" : new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
    this.firstElementChild.value = this.shown;
  }
  get isTyped() { return this.firstElementChild.value !== this.shown; }
  get time() {
    const { value } = this.firstElementChild;
    return this.isTyped && value ? new Date(value).toISOString() : value && this.getAttribute("datetime");
  }
});

// Of two times that are typed the second must be the later one. What is chosen in the bar does not wait for that.
const checkTimes = (menu) => {
  const [since, until] = menu.querySelectorAll("local-field");
  const isWrong = since?.time && until?.time && new Date(since.time) >= new Date(until.time);
  until?.firstElementChild.setCustomValidity(isWrong ? "Until must be later than From" : "");
};
document.addEventListener("input", ({ target }) => target.closest("local-field") && checkTimes(target.closest("details")));

// A button between light and dark. What the system wants needs no choice to be kept.
customElements.define("theme-switch", class extends HTMLElement {
  connectedCallback() {
    this.onclick = () => {
      const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
      document.documentElement.dataset.theme = dark ? "light" : "dark";
      localStorage.setItem("theme", dark ? "light" : "dark");
      document.dispatchEvent(new Event("theme"));
    };
  }
});

// Whether the list renews itself: remembered until the browser is closed.
const isPaused = () => sessionStorage.getItem("paused") === "yes";
customElements.define("live-switch", class extends HTMLElement {
  connectedCallback() {
    this.show();
    this.onclick = () => { sessionStorage.setItem("paused", isPaused() ? "no" : "yes"); this.show(); };
  }
  show() {
    this.firstElementChild.setAttribute("aria-pressed", String(!isPaused()));
    this.querySelector("span:last-child").textContent = isPaused() ? "Paused" : "Live";
  }
});
// An answer that was under way when it was pressed knows nothing of it.
// And a time that is morphed has the text of the server again, though it is the same time.
document.addEventListener("htmx:after:swap", () => document.querySelectorAll("live-switch, local-time").forEach((each) => each.show()));
// Parts that need the server for long come one after the other, those that are looked at first before the others.
document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  if (ctx.target?.id) document.body.dispatchEvent(new Event(`${ctx.target.id}-came`));
});
const polls = {};
const isTyped = (source) => [...source.querySelectorAll("input")].some((each) => each.value !== each.defaultValue);
document.addEventListener("htmx:before:request", (event) => {
  const source = event.detail.ctx.sourceElement, isLive = source.hasAttribute("data-live"), isList = source.id === "rows";
  // The feedback of a trace asks until it shows what was given: also while lists are paused, but not under a form in use.
  if (!isLive && source.id !== "trace-feedback") return;
  const isInUse = source.querySelector("details[open]") || (isLive ? !isList && source.matches(":hover, :focus-within") : isTyped(source));
  if ((isLive && (document.hidden || isPaused())) || isInUse) return event.preventDefault();
  if (isList || !isLive) polls[source.id] = event.detail.ctx;
});
// What is opened or typed stays: an answer on its way would close or empty it.
const keep = (target) => polls[target.closest("#rows, #trace-feedback")?.id]?.request.abort();
document.addEventListener("toggle", ({ target }) => { if (target.open) keep(target); }, true);
document.addEventListener("input", ({ target }) => keep(target));

// Of two clicks the second counts: what the first one asked for would take its link away before it is answered.
let asked = null;
document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  if (!ctx.request.headers["HX-Boosted"]) return;
  if (asked?.request.method === "GET") asked.request.abort();
  asked = ctx;
});

// A form that changes something is on its way once, however often it is pressed. What it was told before is told no more.
const sent = new WeakSet();
document.addEventListener("htmx:config:request", (event) => {
  const { method, form } = event.detail.ctx.request;
  if (method !== "POST") return;
  if (sent.has(form)) return event.preventDefault();
  sent.add(form);
  form.querySelector(".refused")?.remove();
});
document.addEventListener("htmx:finally:request", ({ detail: { ctx } }) => sent.delete(ctx.request.form));
document.addEventListener("htmx:error", ({ detail: { ctx: { request } } }) => {
  if (request.method !== "POST") return;
  const told = Object.assign(document.createElement("p"), { className: "problem refused", role: "alert" });
  told.textContent = "The server does not answer, so it is not known whether this has come. Send it again.";
  request.form.append(told);
});

// What is chosen in the bar counts at once, what is typed in a menu when it is applied: there may be more to type.
document.addEventListener("change", (event) => {
  const { target } = event;
  const isOther = target.name === "range" && target.value === "other";
  if (!target.closest(".sheet")) for (const each of document.querySelectorAll("local-field input")) each.setCustomValidity("");
  if (!isOther && !target.closest(".sheet")) return;
  event.stopPropagation();
  if (!isOther) return;
  for (const each of target.options) target.value = each.defaultSelected ? each.value : target.value;
  const menu = document.getElementById("more-filters");
  menu.open = true;
  menu.querySelector("input").focus();
}, true);

// Times that are typed take the place of a range, else a range takes that of times; so does one that is chosen just now.
document.addEventListener("formdata", ({ target: form, formData }) => {
  const fields = [...form.querySelectorAll("local-field")];
  const isChosen = form.elements.range?.selectedOptions?.[0]?.defaultSelected === false;
  if (!isChosen && fields.some((each) => each.isTyped && each.time)) formData.delete("range");
  for (const each of fields) formData.set(each.firstElementChild.name, formData.get("range") ? "" : each.time);
});

// Forms send no empty fields, so that addresses stay short; what else has such a name is sent.
const fill = (formData, items) => {
  for (const name of new Set(formData.keys())) formData.delete(name);
  for (const [name, value] of items) formData.append(name, value);
};
document.addEventListener("formdata", ({ target: form, formData }) => {
  if (form.method === "get") fill(formData, [...formData].filter(([, value]) => value !== ""));
});

// What takes the place of what had the focus has it again: by its id, or as the one with the same words in the same region.
let lost = null;
const wordsOf = (element) => element.textContent.replace(/[▲▼]/g, "").trim();
const placeOf = (element) => ({ id: element.id, region: element.parentElement?.closest("[id]")?.id, words: wordsOf(element) });
const elementAt = ({ id, region, words }) => (id ? document.getElementById(id)
  : [...(document.getElementById(region)?.querySelectorAll("a[href], button, summary") ?? [])].find((each) => wordsOf(each) === words && each.checkVisibility()));
// Until it has come, or for good where it is gone, what stands around it has the focus, and is seen where a form has changed it.
let around = null;
document.addEventListener("htmx:before:swap", () => {
  if (![document.body, around].includes(document.activeElement)) lost = placeOf(document.activeElement);
});
document.addEventListener("focusin", () => { lost = null; });
const focus = (element) => {
  element.focus({ preventScroll: true });
  if (document.activeElement === element) return;
  element.tabIndex = -1;
  element.focus({ preventScroll: true });
};
document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  if (!lost || ![document.body, around].includes(document.activeElement)) return;
  const sought = lost, again = elementAt(sought);
  around = document.getElementById(sought.region);
  if (again ?? around) focus(again ?? around);
  if (!again) lost = sought;
  if (ctx.request.method === "POST") around?.scrollIntoView({ block: "start" });
});

const rows = () => [...document.querySelectorAll("table.rows tbody tr")];
let current = null;
// A key may come sooner than htmx has looked at what it has swapped in: such a link would load the whole page.
const press = (link) => { if (link) { htmx.process(link); link.click(); } };
const go = (step) => {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.id === current || (current === null && row.getAttribute("aria-selected") === "true"));
  const row = all[Math.min(Math.max(at + step, 0), all.length - 1)];
  current = row.id;
  for (const each of all) each.toggleAttribute("aria-selected", false);
  row.setAttribute("aria-selected", "true");
  const link = row.querySelector("a.open"), drawer = document.getElementById("drawer");
  row.scrollIntoView({ block: "nearest" });
  if (drawer?.hidden !== false) return link?.focus({ preventScroll: true });
  // Whoever goes on reads on in the trace: keys that scroll must not move the list behind it.
  if (!drawer.contains(document.activeElement)) drawer.focus({ preventScroll: true });
  press(link);
};

// What has come to a live list, and what the page waits for, said once to whoever cannot see it.
const say = (text) => { document.getElementById("news").textContent = text; };
let shown = rows().map((row) => row.id);
document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  const before = new Set(shown);
  shown = rows().map((row) => row.id);
  const fresh = shown.findIndex((id) => before.has(id));
  if (ctx.sourceElement.hasAttribute("data-live") && fresh > 0) say(fresh === 1 ? "1 new row" : `${fresh} new rows`);
  const told = document.querySelector("[data-say]")?.dataset.say;
  if (told && told !== document.getElementById("news").textContent) say(told);
});

// Who opens the drawer goes on reading there, and comes back to the row. Steps from row to row leave no history.
const isOpen = (address) => new URL(address, location.href).searchParams.has("open");
document.addEventListener("htmx:before:history:update", ({ detail }) => {
  if (isOpen(location.href) && isOpen(detail.history.path)) detail.history.type = "replace";
});
let wasOpen = isOpen(location.href);
document.addEventListener("htmx:after:swap", () => {
  const drawer = document.getElementById("drawer");
  const opened = Boolean(drawer && !drawer.hidden);
  if (opened && !wasOpen) drawer.focus({ preventScroll: true });
  if (!opened && wasOpen) document.getElementById(current)?.querySelector("a.open")?.focus();
  wasOpen = opened;
});
// Of what lies above the page, Esc closes the uppermost: the browser the help, this a menu, else the drawer.
const close = () => {
  const menus = [...document.querySelectorAll("details.menu[open]")];
  for (const each of menus) {
    if (each.contains(document.activeElement)) each.querySelector("summary").focus();
    each.open = false;
  }
  const drawer = document.getElementById("drawer");
  if (!menus.length && drawer?.hidden === false) press(drawer.querySelector("a.close"));
};
const keys = {
  "/": () => document.getElementById("search")?.focus(),
  "?": () => document.getElementById("help").showModal(),
  j: () => go(1),
  k: () => go(-1),
  p: () => document.querySelector("live-switch")?.click(),
};
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") return document.getElementById("help").open || close();
  const writes = event.target.closest?.("input, select, textarea, dialog, [contenteditable]");
  if (writes || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});
document.addEventListener("click", (event) => {
  const step = event.target.closest?.("[data-step]");
  if (step) go(Number(step.dataset.step));
  if (event.target.closest?.("[data-help]")) document.getElementById("help").showModal();
  const row = event.target.closest?.("table.rows tbody tr");
  if (row) current = row.id;
  for (const each of document.querySelectorAll("details.menu[open]")) if (!each.contains(event.target)) each.open = false;
});

// Copies the text of an element; where a browser lets no script do it, the text is selected.
customElements.define("copy-button", class extends HTMLElement {
  connectedCallback() {
    this.onclick = async () => {
      const source = document.getElementById(this.dataset.of);
      try {
        await navigator.clipboard.writeText(source.textContent);
        this.firstElementChild.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(source);
      }
    };
  }
});
