// Shares as bars with words, the largest first as they are given.

import { h, replace } from "../core/dom.js";

/** Bars in `host`.  Returns {update(view), destroy()}; a view has items [{label, share (0 to 1), text, tone}], where
 *  `text` says what the bar says and `tone` is "raises", "lowers" or "mixed", or nothing. */
export function createBars(host) {
  const list = h("ol", { class: "chart-bars" });
  const root = h("div", { class: "chart" }, list);
  replace(host, root);

  function update({ items }) {
    if (items.length === 0) {
      replace(root, h("p", { class: "chart-empty" }, "Nothing to show yet."));
      return;
    }
    replace(root, replace(list, items.map(bar)));
  }

  return { update, destroy: () => root.remove() };
}

function bar({ label, share, text, tone }) {
  const fill = h("span", { class: `chart-bar${TONES.has(tone) ? ` is-${tone}` : ""}` });
  fill.style.width = `${Math.min(Math.max(share, 0), 1) * 100}%`;
  return h("li", {},
    h("span", { class: "chart-bar-label" }, label),
    h("span", { class: "chart-bar-track", "aria-hidden": "true" }, fill),
    h("span", { class: "chart-bar-share" }, `${Math.round(share * 100)} %`),
    text ? h("span", { class: "chart-bar-text" }, text) : null);
}

const TONES = new Set(["raises", "lowers", "mixed"]);
