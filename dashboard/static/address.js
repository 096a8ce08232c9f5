// Parts of a page come at different times, and some of them change its address. Each part says the address it was made for
// (data-of): what its links and forms leave of that as it was, they leave as it is now.
"use strict";

// Where on a page its viewer is: a link says it or leads to the beginning.
const places = new Set(["cursor", "open", "span", "id", "fresh"]);

const valuesOf = (items, name) => items.filter(([each]) => each === name).map(([, value]) => value).join("\0");
const followed = (items, madeFor) => {
  const [before, now] = [madeFor, location.search].map((text) => [...new URLSearchParams(text)]);
  const isLeft = (name) => !places.has(name) && valuesOf(items, name) === valuesOf(before, name);
  return [...items.filter(([name]) => !isLeft(name)), ...now.filter(([name]) => isLeft(name))];
};
const partOf = (element) => element.closest("[data-of]");
const isHere = (address) => address.pathname === location.pathname && address.origin === location.origin;

const follow = (element, attribute) => {
  const made = element.dataset.made ?? element.getAttribute(attribute);
  const address = new URL(made, location.href);
  if (made.startsWith("#") || !isHere(address)) return;
  element.dataset.made = made;
  address.search = new URLSearchParams(followed([...address.searchParams], partOf(element).dataset.of));
  element.setAttribute(attribute, address.pathname + address.search + address.hash);
};
document.addEventListener("htmx:after:swap", () => {
  for (const link of document.querySelectorAll("[data-of] a[href]")) follow(link, "href");
  for (const chart of document.querySelectorAll("[data-of] [data-zoom]")) follow(chart, "data-zoom");
});

// Another page is opened at the time of this one, and about the same users, prompts and so on.
const carriers = ["/logs", "/feedback", "/analytics", "/requests"];
const carry = () => {
  const nav = document.querySelector("nav[data-carries]");
  const names = nav?.dataset.carries.split(" ") ?? [];
  const items = [...new URLSearchParams(location.search)].filter(([name]) => names.includes(name) || name.startsWith("meta."));
  for (const link of nav?.querySelectorAll("a:not([aria-current])") ?? []) {
    if (carriers.includes(link.pathname)) link.search = new URLSearchParams(items);
  }
};
carry();
document.addEventListener("htmx:after:swap", carry);

document.addEventListener("formdata", ({ target: form, formData }) => {
  if (form.method !== "get" || !partOf(form) || !isHere(new URL(form.action))) return;
  fill(formData, followed([...formData], partOf(form).dataset.of));
});
