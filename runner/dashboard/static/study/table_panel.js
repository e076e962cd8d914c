// The twin of the charts: every row as text, with the same selection.  Only the rows in view are in the page.

import { save } from "../core/saving.js";
import { byId, h, replace } from "../core/dom.js";
import { count } from "../core/format.js";
import { PROVENANCES } from "../core/names.js";
import { isOnPaper, onPaper } from "../core/printing.js";
import { EMPTY, mask } from "../data/selection.js";
import { NO_CODE } from "../data/study_data.js";
import { metricOptions, toggle } from "./pickers.js";
import { csv, orderedRows } from "./rows.js";
import { choicesOf } from "./source.js";
import { toggled } from "./state.js";

const ROW_PX = 40;
const SPARE = 8; // rows above and below those in view
const MOST_PRINTED = 200;
const SHOWN = ["data", "selection", "sort", "columns", "onlyFront", "point", "picked"];

/** Fill the panel.  `need(names)` brings the columns that one asks for. */
export function createTablePanel(store, naming, need) {
  const scroller = byId("rows");
  const head = h("thead");
  const body = h("tbody");
  const table = h("table", { class: "data rows" }, h("caption", { class: "sr-only" }, "Evaluations"), head, body);
  const words = byId("rows-words");
  let order = new Uint32Array();
  let current = 0; // place in the order that has the keyboard
  replace(scroller, table);
  scroller.addEventListener("scroll", () => drawRows(), { passive: true });
  scroller.addEventListener("keydown", onKey);
  new ResizeObserver(() => drawRows()).observe(scroller);
  onPaper(drawRows);
  createPickers();

  const columns = () => store.get().columns ?? naming.objectives;
  const sorted = () => store.get().sort ?? (naming.goal(naming.objectives[0]) === "maximize" ? "-" : "") + naming.objectives[0];

  function show(state, changed) {
    if (state.data === null) return;
    if (changed.some((name) => name !== "point" && name !== "picked")) {
      const known = currentDigest();
      if (changed.includes("columns")) need(columns()); // not with new data: there may be no room for all of them
      order = orderedRows(state.data, mask(state.data, state.selection), sorted(), state.onlyFront);
      current = Math.max(known === null ? 0 : order.findIndex((row) => state.data.digests[row] === known), 0);
      drawHead();
      replace(words, `${count(order.length, "row")} of ${state.data.count.toLocaleString("en")}, sorted by `,
        naming.label(sorted().replace(/^-/, "")), sorted().startsWith("-") ? ", the largest first." : ", the smallest first.",
        state.reading ? " The others are being read." : "");
    }
    drawRows();
  }

  function currentDigest() {
    const { data } = store.get();
    return order.length === 0 || order[current] >= data.count ? null : data.digests[order[current]];
  }

  function drawHead() {
    replace(head, h("tr", {}, ["digest", ...columns(), "fidelity", "state"].map((name) => {
      const active = sorted().replace(/^-/, "") === name;
      const descending = sorted().startsWith("-");
      return h("th", {
        scope: "col", class: naming.isMetric(name) ? "number" : null,
        "aria-sort": active ? (descending ? "descending" : "ascending") : null,
      }, h("button", {
        type: "button",
        onclick: () => store.set({ sort: active && !descending ? `-${name}` : name }),
      }, name === "digest" ? "architecture" : naming.label(name)));
    })));
  }

  function drawRows() {
    const { data } = store.get();
    if (data === null) return;
    const [first, last] = drawn();
    const had = body.contains(document.activeElement);
    const focused = had ? document.activeElement.closest("tr")?.dataset.place : null;
    table.setAttribute("aria-rowcount", String(order.length + 1));
    const rows = [];
    for (let place = first; place < last; place += 1) rows.push(drawRow(data, order[place], place));
    if (isOnPaper()) replace(body, rows, last < order.length ? sentence(`${count(order.length - last, "row")} more: save as CSV.`) : null);
    else replace(body, spacer(first), rows, spacer(order.length - last));
    if (order.length === 0) replace(body, sentence("No row is in the selection."));
    if (focused !== null && focused !== undefined) body.querySelector(`tr[data-place="${focused}"]`)?.focus({ preventScroll: true });
  }

  /** The first place that is drawn, and the one behind the last. */
  function drawn() {
    if (isOnPaper()) return [0, Math.min(order.length, MOST_PRINTED)];
    const { scrollTop, clientHeight } = scroller;
    return [
      Math.max(Math.floor(scrollTop / ROW_PX) - SPARE, 0),
      Math.min(Math.ceil((scrollTop + clientHeight) / ROW_PX) + SPARE, order.length),
    ];
  }

  function sentence(said) {
    return h("tr", {}, h("td", { colspan: String(columns().length + 3) }, said));
  }

  function drawRow(data, row, place) {
    const { point, picked } = store.get();
    const digest = data.digests[row];
    const state = data.states[row];
    return h("tr", {
      "data-place": place, "aria-rowindex": place + 2, tabindex: place === current ? "0" : "-1",
      class: [digest === point ? "is-focused" : "", data.isFront[row] ? "is-front" : "", row === data.kneeRow ? "knee" : ""].join(" ").trim() || null,
      "aria-selected": String(picked.includes(digest)),
      onclick: () => choose(place),
    },
    h("th", { scope: "row" }, h("code", {}, digest),
      row === data.kneeRow ? h("span", { class: "badge" }, "knee") : data.isFront[row] ? h("span", { class: "badge" }, "front") : null,
      picked.includes(digest) ? h("span", { class: "badge" }, "picked") : null),
    columns().map((name) => cell(data, row, name)),
    h("td", {}, data.fidelities[row]),
    h("td", {}, h("span", { class: `state is-${state}` }, state)));
  }

  function cell(data, row, name) {
    if (naming.isMetric(name)) {
      const value = data.metricNames.includes(name) ? data.values(name)[row] : Number.NaN;
      if (Number.isNaN(value)) return h("td", { class: "number" }, h("span", { class: "note inline" }, "none"));
      const provenance = PROVENANCES[data.provenances(name)[row]];
      return h("td", { class: "number" }, naming.text(name, value), " ",
        h("span", { class: "note inline", title: naming.meaning(provenance) }, provenance));
    }
    const choice = data.choice(name);
    const code = choice === null ? NO_CODE : choice.codes[row];
    return h("td", {}, code === NO_CODE ? h("span", { class: "note" }, "none") : String(choice.values[code]));
  }

  function choose(place) {
    current = place;
    store.set({ point: store.get().data.digests[order[place]] });
    drawRows();
  }

  function onKey(event) {
    if (event.target.closest("button") !== null || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 10, PageUp: -10 }[event.key];
    const target = step !== undefined ? current + step : event.key === "Home" ? 0 : event.key === "End" ? order.length - 1 : null;
    if (target !== null) {
      current = Math.min(Math.max(target, 0), order.length - 1);
      const top = current * ROW_PX;
      const room = scroller.clientHeight - 2 * ROW_PX;
      if (top < scroller.scrollTop) scroller.scrollTop = top;
      else if (top > scroller.scrollTop + room) scroller.scrollTop = top - room;
      drawRows();
      body.querySelector(`tr[data-place="${current}"]`)?.focus({ preventScroll: true });
    } else if (event.key === "Enter") {
      choose(current);
    } else if (event.key === "x" || event.key === " ") {
      store.set({ picked: toggled(store.get().picked, currentDigest()) });
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  function createPickers() {
    const metric = h("select", { "aria-label": "Metric of the filter" });
    const low = h("input", { type: "number", step: "any", placeholder: "at least", "aria-label": "At least" });
    const high = h("input", { type: "number", step: "any", placeholder: "at most", "aria-label": "At most" });
    high.addEventListener("input", () => high.setCustomValidity(""));
    const fill = (state) => {
      const options = metricOptions(state);
      if (options.length !== metric.options.length) {
        replace(metric, options.map((option) => h("option", { value: option.value }, option.words)));
      }
      replace(offered, h("legend", {}, "Columns"), [...options.map((option) => option.value), ...choicesOf(state.data?.front ?? null)]
        .map((name) => h("label", { class: "check" }, h("input", {
          type: "checkbox", checked: (state.columns ?? naming.objectives).includes(name),
          onchange: (event) => {
            const shown = columns().filter((each) => each !== name);
            store.set({ columns: Object.freeze(event.target.checked ? [...shown, name] : shown) });
          },
        }), h("span", {}, naming.label(name)))));
    };
    const offered = h("fieldset", { class: "checks" });
    const filter = h("form", {
      class: "toolbar",
      onsubmit: (event) => {
        event.preventDefault();
        const range = [low.value === "" ? -Infinity : Number(low.value), high.value === "" ? Infinity : Number(high.value)];
        const { selection } = store.get();
        if (!(range[0] <= range[1])) {
          high.setCustomValidity("At most is below at least.");
          high.reportValidity();
          return;
        }
        need([metric.value]);
        store.set({ selection: Object.freeze({ ...selection, ranges: Object.freeze({ ...selection.ranges, [metric.value]: Object.freeze(range) }) }) });
      },
    }, h("span", { class: "note" }, "Filter"), metric, low, high, h("button", { type: "submit", class: "button" }, "Select"),
    h("button", { type: "button", class: "button quiet", onclick: () => store.set({ selection: EMPTY }) }, "Clear"));
    replace(byId("rows-pickers"), filter, toggle(store, "onlyFront", "front only"),
      h("details", { class: "menu" }, h("summary", { class: "button" }, "Columns"), offered),
      h("button", {
        type: "button", class: "button",
        onclick: () => save(new Blob([csv(store.get().data, order, ["digest", ...columns(), "fidelity", "state"])],
          { type: "text/csv" }), "evaluations.csv"),
      }, "Save as CSV"));
    store.subscribe(["metrics", "data"], (state) => { if (offered.children.length <= 1) fill(state); });
    fill(store.get());
  }

  store.subscribe(SHOWN, show);
  show(store.get(), SHOWN);
}

function spacer(rows) {
  const row = h("tr", { "aria-hidden": "true" }, h("td", { class: "space" }));
  row.firstChild.style.height = `${rows * ROW_PX}px`;
  return row;
}
