// The table around the rows: its head, in which some words order the list.

import { h, replace } from "../core/dom.js";
import { COLUMNS } from "./row.js";

// What a column orders by, the first time and then the other way round.
const ORDERS = { name: ["name", "-name"], begun: ["-created_at", "created_at"] };

/** {box, body, show(sort, actions)}; `order(sort)` is told what somebody wants. */
export function createTable({ order }) {
  const head = h("thead");
  const body = h("tbody", { role: "rowgroup" });
  const box = h("div", { class: "scroll", role: "region", "aria-label": "Table of studies", tabindex: "0" },
    h("table", { class: "data cards", role: "table", "aria-label": "Studies" }, head, body));
  let shown = null;

  function show(sort, actions) {
    if (shown === `${sort} ${actions}`) return;
    shown = `${sort} ${actions}`;
    const focused = head.contains(document.activeElement) ? document.activeElement.textContent : null;
    replace(head, h("tr", { role: "row" },
      COLUMNS.map((name) => headCell(name, sort, order)),
      actions ? h("th", { scope: "col", role: "columnheader" }, h("span", { class: "sr-only" }, "actions")) : null));
    if (focused !== null) [...head.querySelectorAll("button")].find((each) => each.textContent === focused)?.focus();
  }

  return { box, body, show };
}

function headCell(name, sort, order) {
  const numeric = name === "evaluations" ? "number" : null;
  const orders = ORDERS[name];
  if (orders === undefined) return h("th", { scope: "col", role: "columnheader", class: numeric }, name);
  const now = orders.indexOf(sort);
  const way = now < 0 ? null : sort.startsWith("-") ? "descending" : "ascending";
  return h("th", { scope: "col", role: "columnheader", "aria-sort": way },
    h("button", { type: "button", onclick: () => order(orders[now === 0 ? 1 : 0]) }, name));
}
