// Sets the chosen theme before the page is drawn. Without a choice the system's counts.
"use strict";
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {} // a browser that keeps nothing
