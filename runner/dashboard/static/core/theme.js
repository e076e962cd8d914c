// The colour scheme: that of the system, or the one chosen here.  A classic script, and the first of a page, so that
// nothing is drawn in the wrong colours and then again in the right ones.
"use strict";

{
  const KEY = "supernaut-theme";
  const WORDS = { system: "as the system", light: "light", dark: "dark" };
  const NEXT = { system: "light", light: "dark", dark: "system" };
  const root = document.documentElement;

  // Storage is refused where a browser keeps nothing; the choice then holds for this page alone.
  const kept = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  };
  const keep = (theme) => {
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      return;
    }
  };

  const show = (theme) => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
    const button = document.getElementById("theme");
    if (button === null) return;
    const now = root.dataset.theme ?? "system";
    button.hidden = false;
    button.dataset.shows = now;
    button.setAttribute("aria-label", `Colours: ${WORDS[now]}; change to ${WORDS[NEXT[now]]}`);
    button.title = `Colours: ${WORDS[now]}`;
  };

  show(kept());
  addEventListener("storage", (event) => {
    if (event.key === KEY) show(event.newValue);
  });
  document.addEventListener("DOMContentLoaded", () => {
    show(root.dataset.theme);
    document.getElementById("theme")?.addEventListener("click", () => {
      const next = NEXT[root.dataset.theme ?? "system"];
      keep(next);
      show(next);
    });
  });
}
