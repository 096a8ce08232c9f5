// Saved views: the filters and columns of a list under a name. They are kept in this browser and nowhere else.
"use strict";

customElements.define("saved-views", class extends HTMLElement {
  // What a live list brings in place of this knows no views, so they are listed anew whenever the menu opens.
  connectedCallback() { this.parentElement.addEventListener("toggle", () => this.show()); }

  get views() {
    try { return JSON.parse(localStorage.getItem(this.dataset.keep)) ?? []; } catch { return []; }
  }
  set views(all) {
    localStorage.setItem(this.dataset.keep, JSON.stringify(all));
    this.show();
    this.querySelector("input").focus();
  }

  // The page as it is now, without where its viewer is on it.
  get address() {
    const asked = new URLSearchParams([...new URLSearchParams(location.search)].filter(([name]) => !places.has(name)));
    for (const each of document.querySelectorAll("input[name=columns]:checked")) asked.append("columns", each.value);
    return `${location.pathname}?${asked}`;
  }

  show() {
    const list = document.createElement("ul");
    for (const { name, address } of this.views) {
      const [line, link, button] = ["li", "a", "button"].map((each) => document.createElement(each));
      link.textContent = name;
      link.href = address;
      link.dir = "auto";
      button.textContent = "×";
      button.type = "button";
      button.className = "quiet";
      button.setAttribute("aria-label", `Forget ${name}`);
      button.onclick = () => { this.views = this.views.filter((each) => each.name !== name); };
      line.append(link, button);
      list.append(line);
    }
    const form = this.querySelector("template").content.cloneNode(true).querySelector("form");
    form.onsubmit = (event) => {
      event.preventDefault();
      const name = form.elements.view.value.trim();
      if (name) this.views = [...this.views.filter((each) => each.name !== name), { name, address: this.address }];
    };
    this.replaceChildren(this.querySelector("template"), list, form);
  }
});
