// The front as a scatter plot, with its pickers, what is selected in words, and the best within a limit.

import { createScatter } from "../charts/scatter.js";
import { save } from "../core/saving.js";
import { byId, h, replace } from "../core/dom.js";
import { count } from "../core/format.js";
import { EMPTY, isEmpty, mask, words } from "../data/selection.js";
import { anyOptions, axisOptions, metricOptions, picker, toggle } from "./pickers.js";
import { choicesOf } from "./source.js";
import { toggled } from "./state.js";
import { bestWithin } from "./within.js";

const DRAWN = ["data", "x", "y", "colour", "size", "logX", "logY", "dominated", "selection", "point", "picked", "within", "reading"];

/** Fill the panel of the front.  `naming` gives names; `need(names)` brings what a picker asks for. */
export function createFrontPanel(store, naming, need) {
  const host = byId("scatter");
  const scatter = createScatter(host, {
    onSelect: (part) => store.set({ selection: part === null ? EMPTY : Object.freeze({ ...EMPTY, ...part }) }),
    onFocus: (row) => store.set({ point: row < 0 ? null : store.get().data.digests[row] }),
    onPick: (row) => store.set({ picked: toggled(store.get().picked, store.get().data.digests[row]) }),
  });
  const choices = () => choicesOf(store.get().data?.front ?? null);
  replace(
    byId("scatter-pickers"),
    picker(store, "x", "x axis", axisOptions), toggle(store, "logX", "log"),
    picker(store, "y", "y axis", axisOptions), toggle(store, "logY", "log"),
    picker(store, "colour", "colour", (state) => anyOptions(state, choices())),
    picker(store, "size", "size", (state) => [{ value: null, words: "nothing" }, ...metricOptions(state)]),
    toggle(store, "dominated", "points off the front"),
    h("button", { type: "button", class: "button quiet", onclick: async () => save(await scatter.png(), "front.png") },
      "Save as PNG"),
  );
  store.subscribe(["x", "y", "colour", "size"], ({ x, y, colour, size }) => {
    need([x, y, colour, size].filter((name) => name !== null));
  });

  function show(state) {
    const { data, x, y, colour, size, logX, logY, dominated, selection, point, picked, within } = state;
    if (data === null || x === null || y === null) return;
    const best = bestWithin(data, naming, y, within);
    scatter.update({
      data, x, y, colour, size, logX, logY,
      mask: mask(data, selection),
      focusRow: point === null ? -1 : data.rowOf(point),
      pickedRows: picked.map((digest) => data.rowOf(digest)).filter((row) => row >= 0),
      showDominated: dominated,
      marks: best === null || best.row < 0 ? [] : [{ row: best.row, words: "best within the limit" }],
      label: naming.label, unit: naming.unit,
    });
    showSelection(state);
  }

  function showSelection({ data, study, reading, selection, picked }) {
    const selected = mask(data, selection);
    const size = selected === null ? 0 : selected.reduce((sum, each) => sum + each, 0);
    replace(
      byId("selection"),
      reading && h("strong", {}, `This is the front; the other ${evaluations(study)} are being read.`),
      isEmpty(selection)
        ? h("span", { class: "note" }, "Nothing is selected. Draw a box or a lasso; every panel follows.")
        : [h("span", {}, `${count(size, "row")} selected: ${words(selection, naming.label)} `),
          h("button", { type: "button", class: "button quiet", onclick: () => store.set({ selection: EMPTY }) }, "Clear")],
      picked.length > 0 && picks(store, picked),
    );
  }

  store.subscribe(DRAWN, show);
  show(store.get());
}

function evaluations(study) {
  return count(study.counts.complete + study.counts.failed, "evaluation");
}

function picks(store, picked) {
  const study = encodeURIComponent(document.body.dataset.study);
  return h(
    "span", { class: "chips" },
    h("span", { class: "note" }, "To compare:"),
    picked.map((digest) => h("button", {
      type: "button", class: "chip", "aria-label": `Take ${digest} out of the comparison`,
      onclick: () => store.set({ picked: toggled(store.get().picked, digest) }),
    }, h("code", {}, digest), " ✕")),
    picked.length > 1
      ? h("a", { class: "button primary", href: `/studies/${study}/compare?points=${picked.join(",")}` },
        `Compare ${picked.length}`)
      : h("span", { class: "note" }, "pick one more"),
  );
}
