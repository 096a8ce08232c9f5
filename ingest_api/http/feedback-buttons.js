// <feedback-buttons token="fbt_…">: thumbs, comment and undo for one trace of a Feedback API server. No dependencies, no
// inline style or script. docs/browser.md describes attributes, events, parts and properties.
(() => {
  if (customElements.get("feedback-buttons")) return;
  const home = new URL(document.currentScript?.src || location.href).origin;
  const PREFIX = "feedback-buttons ";
  const LABELS = {
    en: ["Rate this answer", "Good answer", "Bad answer", "Comment", "Send", "Thank you", "Taken back",
      "Not sent yet: trying again", "Could not be saved"],
    de: ["Antwort bewerten", "Gute Antwort", "Schlechte Antwort", "Kommentar", "Senden", "Danke", "Zurückgenommen",
      "Noch nicht gesendet: neuer Versuch folgt", "Konnte nicht gespeichert werden"],
    es: ["Valorar la respuesta", "Buena respuesta", "Mala respuesta", "Comentario", "Enviar", "Gracias", "Retirado",
      "Aún no enviado: se reintentará", "No se pudo guardar"],
    fr: ["Évaluer la réponse", "Bonne réponse", "Mauvaise réponse", "Commentaire", "Envoyer", "Merci", "Retiré",
      "Pas encore envoyé : nouvel essai", "Impossible d’enregistrer"],
    pt: ["Avaliar a resposta", "Boa resposta", "Má resposta", "Comentário", "Enviar", "Obrigado", "Retirado",
      "Ainda não enviado: nova tentativa", "Não foi possível salvar"],
  };
  const THUMB = "M7 11v9H4v-9zM7 11l4-8c3 0 2.500 3 2 6h5q2 0 2 2l-2 7q-.5 2-2 2H7";
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`:host{display:inline-block}:host([hidden]),[hidden]{display:none!important}
    div,form{display:flex;flex-wrap:wrap;align-items:center;gap:var(--feedback-gap,.25em)}
    button,textarea{font:inherit;color:inherit;background:none;border:1px solid var(--feedback-border,currentColor);
    border-radius:var(--feedback-radius,.4em);padding:.3em .5em;min-width:var(--feedback-size,2.2em);
    min-height:var(--feedback-size,2.2em)}button{cursor:pointer}textarea{width:18em}
    [aria-pressed=true]{color:var(--feedback-accent,inherit);outline:1px solid;font-weight:bold}
    :focus-visible{outline:3px solid var(--feedback-focus,currentColor);outline-offset:2px}
    svg{display:block;width:1.2em;margin:auto;fill:none;stroke:currentColor}
    [aria-pressed=true] svg{fill:currentColor}.down svg{rotate:180deg}`);

  // What each vote is to become: one entry a vote, so that repeating it changes nothing. Memory, where storage is shut.
  const memory = {}, busy = new Set(), shown = new Set();
  const load = (key) => {
    try { return JSON.parse(localStorage.getItem(key)) ?? memory[key]; } catch { return memory[key]; }
  };
  const save = (key, entry) => {
    memory[key] = entry;
    try { localStorage.setItem(key, JSON.stringify(entry)); } catch { /* Memory has it. */ }
    for (const each of shown) if (each.key === key) each.show();
  };
  let timer, pause = 1;
  const later = (seconds) => {
    clearTimeout(timer);
    timer = setTimeout(flush, 1000 * Math.max(seconds, pause));
    pause = Math.min(2 * pause, 60);
  };
  const flush = () => {
    let kept = {};
    try { kept = localStorage; } catch { /* As above. */ }
    for (const key of Object.keys({ ...memory, ...kept })) if (key.startsWith(PREFIX)) send(key);
  };

  async function send(key) {
    const sent = load(key);
    if (!sent?.waits || busy.has(key)) return;
    busy.add(key);
    const { server, token, name, trace, value, comment } = sent;
    let reply, answer;
    try {
      const headers = { authorization: "Bearer " + token };
      if (name) headers["x-feedback-vote"] = name;
      const call = { method: "DELETE", headers, credentials: "omit", keepalive: true, signal: AbortSignal.timeout(2e4) };
      if (value !== null) {
        headers["content-type"] = "application/json";
        call.method = "POST";
        call.body = JSON.stringify({ value, comment, trace_id: trace });
      }
      reply = await fetch(server + "/v1/feedback/vote", call);
      answer = await reply.json();
    } catch { /* The server is away, or its answer was cut off. */ }
    busy.delete(key);
    const now = load(key) ?? sent, status = answer ? reply.status : 0, saved = status === 200;
    if (!status || status >= 500 || status === 408 || status === 429) {
      save(key, { ...now, late: 1 });
      return later(+reply?.headers.get("retry-after") || 0);
    }
    pause = 1;
    // What was chosen meanwhile is sent next. A token is kept no longer than it is needed.
    const kept = saved ? { value, comment } : sent.kept, changed = now.turn !== sent.turn;
    save(key, changed ? { ...now, kept } : { ...now, ...kept, kept, token: "", waits: 0, late: 0, status });
    const told = { detail: { ...answer, value, comment, status }, bubbles: true, composed: true };
    for (const each of shown) {
      if (each.key === key) each.dispatchEvent(new CustomEvent(saved ? "feedback-saved" : "feedback-refused", told));
    }
    send(key);
  }

  const make = (tag, attributes, ...inner) => {
    const made = tag === "svg" || tag === "path" ? document.createElementNS("http://www.w3.org/2000/svg", tag)
      : document.createElement(tag);
    for (const each in attributes) made.setAttribute(each, attributes[each]);
    made.append(...inner);
    return made;
  };
  const claimsIn = (token) => {
    try {
      const text = atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"));
      return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (each) => each.charCodeAt())));
    } catch { /* No token. */ }
  };

  customElements.define("feedback-buttons", class extends HTMLElement {
    static observedAttributes = ["token", "trace-id", "server", "name", "lang", "no-comment"];

    constructor() {
      super();
      this.attachShadow({ mode: "open" }).adoptedStyleSheets = [sheet];
    }

    connectedCallback() {
      shown.add(this);
      this.build();
    }

    disconnectedCallback() { shown.delete(this); }

    attributeChangedCallback() { if (this.isConnected) this.build(); }

    build() {
      const given = (name) => this.getAttribute(name), token = given("token") ?? "", claims = claimsIn(token);
      this.shadowRoot.replaceChildren();
      this.key = "";
      if (!claims) return;
      const label = this.label = LABELS[(this.closest("[lang]")?.lang || navigator.language).slice(0, 2)] ?? LABELS.en;
      const trace = given("trace-id") ?? claims.trace_id, server = (given("server") || home).replace(/\/+$/, "");
      const name = claims.votes === "many" ? given("name") || (this.made ??= `${Math.random()}`) : "";
      this.key = PREFIX + [server, trace, claims.voter, name].map(encodeURIComponent);
      this.base = { server, token, name, trace };
      this.buttons = claims.values.sort((one, other) => other - one).map((value, place, { length }) => {
        const way = length > 2 ? "value" : place ? "down" : "up";
        const icon = make("svg", { viewBox: "0 0 24 24", "aria-hidden": true }, make("path", { d: THUMB }));
        const button = make("button", { type: "button", part: "button " + way, class: way },
          length > 2 ? value : make("slot", { name: way }, icon));
        if (length < 3) button.ariaLabel = button.title = label[place + 1];
        button.onclick = () => this.choose(this.value === value ? null : value, this.entry.comment);
        button.value = value;
        return button;
      });
      this.opener = make("button", { type: "button", part: "button comment", "aria-expanded": false }, label[3]);
      this.text = make("textarea", { part: "text", rows: 2, maxlength: 4000, "aria-label": label[3] });
      this.form = make("form", { part: "form", hidden: "" }, this.text, make("button", { part: "button send" }, label[4]));
      this.status = make("span", { part: "status", role: "status" });
      this.opener.onclick = () => this.open(this.form.hidden);
      this.form.onsubmit = (event) => {
        event.preventDefault();
        this.open(false);
        this.choose(this.value, this.text.value.trim());
      };
      this.form.onkeydown = (event) => { if (event.key === "Escape") this.open(false); };
      this.shadowRoot.append(make("div", { part: "group", role: "group", "aria-label": label[0] },
        ...this.buttons, this.opener, this.form, this.status));
      // A vote of an earlier visit that still waits goes with the newer token.
      if (this.entry.waits) save(this.key, { ...this.entry, ...this.base });
      this.show();
      send(this.key);
    }

    get entry() {
      const none = { value: null, comment: "" };
      return load(this.key) ?? { ...none, kept: none };
    }

    get value() { return this.entry.value; }

    choose(value, comment) {
      comment = value === null ? "" : comment;
      save(this.key, { ...this.entry, ...this.base, value, comment, turn: Math.random(), waits: 1, late: 0, status: 0 });
      send(this.key);
    }

    open(wide) {
      const had = this.shadowRoot.activeElement;
      this.form.hidden = !wide;
      this.opener.ariaExpanded = wide;
      if (wide) this.text.focus();
      else if (this.form.contains(had)) this.opener.focus();
    }

    show() {
      const { value, comment, late, status, waits } = this.entry;
      for (const each of this.buttons) each.ariaPressed = +each.value === value;
      if (value === null && !this.form.hidden) this.open(false);
      this.opener.hidden = value === null || this.hasAttribute("no-comment");
      if (this.form.hidden) this.text.value = comment;
      const told = waits ? late && 7 : status && (status > 200 ? 8 : value === null ? 6 : 5);
      this.status.textContent = told ? this.label[told] : "";
    }
  });
  addEventListener("online", flush);
  flush();
})();
