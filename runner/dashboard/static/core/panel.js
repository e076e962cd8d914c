// A part of a page that loads by itself and fails by itself: loading, empty, error with retry, stale.

import { h, replace } from "./dom.js";
import { marked, problemBox, problemWords } from "./problems.js";

/** Fills the `.panel-body` of `section` (made where there is none).
 *
 *  `load(signal)` gives the document, `draw(body, document)` puts it into the body and may keep what is there,
 *  `empty(document)` says in words that there is nothing yet, or null.  `refresh()` loads again, once more at the end
 *  if it is called meanwhile, and resolves when all is shown; with `{ anew: true }` it drops what is being loaded,
 *  because something else is wanted now.  `show(document)` draws what somebody else has loaded.  What was drawn stays
 *  while it is loaded again, and with a note where that fails. */
export function panel(section, { load, draw, empty = () => null }) {
  const body = section.querySelector(":scope > .panel-body") ?? section.appendChild(h("div", { class: "panel-body" }));
  const said = h("div", { class: "panel-said", "aria-live": "polite" });
  body.before(said);
  let drawn = false; // whether the body holds what `draw` made
  let running = null;
  let again = false;
  let abort = null;
  let readAt = null;

  function put(document) {
    readAt = new Date();
    replace(said);
    const words = empty(document);
    try {
      if (words !== null) {
        drawn = false;
        replace(body, h("p", { class: "empty" }, words));
        return;
      }
      if (!drawn) replace(body);
      drawn = true;
      draw(body, document);
    } catch (error) {
      drawn = false;
      console.error(error); // a fault of the page; the other panels go on
      replace(body, problemBox(error, () => refresh()));
    }
  }

  function fail(error) {
    if (!drawn) {
      replace(body, problemBox(error, () => refresh()));
      return;
    }
    replace(said, h("p", { class: "banner is-stale" },
      `As of ${readAt.toLocaleTimeString()}; it could not be read again. `, marked(problemWords(error)), " ",
      h("button", { type: "button", class: "button quiet", onclick: () => refresh() }, "Try again")));
  }

  async function run() {
    section.setAttribute("aria-busy", "true");
    await null; // whoever asks must have this promise before it can end
    do {
      again = false;
      abort = new AbortController();
      const { signal } = abort;
      try {
        const document = await load(signal);
        if (!signal.aborted) put(document);
      } catch (error) {
        if (!signal.aborted) fail(error);
      }
    } while (again);
    section.removeAttribute("aria-busy");
    running = null;
  }

  function refresh({ anew = false } = {}) {
    if (running !== null) {
      again = true;
      if (anew) abort?.abort();
      return running;
    }
    if (readAt === null) replace(body, skeleton());
    running = run();
    return running;
  }

  function show(document) {
    abort?.abort();
    put(document);
  }

  return { refresh, show };
}

/** Grey lines where something will stand. */
export function skeleton(lines = 3) {
  return h("div", { class: "skeleton", role: "status" },
    h("span", { class: "sr-only" }, "Loading"),
    Array.from({ length: lines }, () => h("span", { class: "skeleton-line", "aria-hidden": "true" })));
}
