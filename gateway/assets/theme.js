"use strict";
// The reader's choice of light or dark: the address first, else what was chosen here before.
(() => {
  const KEY = "theme";
  const root = document.documentElement;
  const stored = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // The reader's browser keeps nothing.
    }
  };
  const show = (theme) => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
    for (const link of document.querySelectorAll("[data-choose]")) {
      const chosen = link.dataset.choose === (root.dataset.theme ?? "system");
      if (chosen) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  const asked = new URLSearchParams(location.search).get("theme");
  const theme = asked ?? stored();
  show(theme);
  document.addEventListener("DOMContentLoaded", () => show(theme));
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("[data-choose]");
    if (!link) return;
    event.preventDefault();
    const { choose } = link.dataset;
    try {
      localStorage.setItem(KEY, choose);
    } catch {
      // It holds for this page, then.
    }
    show(choose);
    // What the address says goes on with every link.
    if (!asked) return;
    const address = new URL(location);
    address.searchParams.set("theme", choose);
    location.replace(address);
  });
})();
