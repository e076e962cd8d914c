// Parallel coordinates: every objective and the choices that one asks for, with the selection of the whole page.

import { createParallel } from "../charts/parallel.js";
import { byId, h, replace } from "../core/dom.js";
import { mask } from "../data/selection.js";
import { choicesOf } from "./source.js";

const MOST_AXES = 12;

/** Fill the panel.  `need(names)` brings what an axis asks for. */
export function createParallelPanel(store, naming, need) {
  const first = choicesOf(store.get().data.front).filter((name) => !name.includes(".")).slice(0, 4);
  let axes = [...naming.objectives, ...first].slice(0, MOST_AXES);
  need(first);
  const chart = createParallel(byId("parallel"), {
    onRanges: (name, range) => change("ranges", name, range),
    onSet: (name, values) => change("sets", name, values),
  });

  function change(kind, name, value) {
    const { selection } = store.get();
    const { [name]: _, ...others } = selection[kind];
    const next = value === null ? others : { ...others, [name]: Object.freeze(value) };
    store.set({ selection: Object.freeze({ ...selection, [kind]: Object.freeze(next) }) });
  }

  function adder() {
    const offered = [...(store.get().metrics?.items ?? []).map((metric) => metric.metric), ...choicesOf(store.get().data.front)]
      .filter((name) => !axes.includes(name));
    const select = h("select", {
      onchange: () => {
        axes = [...axes, select.value].slice(-MOST_AXES);
        need([select.value]);
        show(store.get());
      },
    }, h("option", { value: "" }, "choose"), offered.map((name) => h("option", { value: name }, naming.label(name))));
    replace(byId("parallel-pickers"),
      h("label", { class: "pick" }, h("span", {}, "add an axis"), select),
      axes.slice(naming.objectives.length).map((name) => h("button", {
        type: "button", class: "chip", "aria-label": `Take the axis ${naming.label(name)} away`,
        onclick: () => {
          axes = axes.filter((each) => each !== name);
          show(store.get());
        },
      }, naming.label(name), " ✕")));
  }

  function show({ data, selection, point }) {
    adder();
    chart.update({
      data, selection: closed(data, selection), mask: mask(data, selection),
      axes: axes.filter((name) => data.metricNames.includes(name) || data.choice(name) !== null),
      label: naming.label, unit: naming.unit, goals: naming.goals,
      focusRow: point === null ? -1 : data.rowOf(point),
    });
  }

  store.subscribe(["data", "selection", "point"], show);
  show(store.get());
}

/** The same selection for an axis, which ends: ranges without an end reach the end of the numbers. */
function closed(data, selection) {
  const ranges = Object.fromEntries(Object.entries(selection.ranges).map(([name, [low, high]]) => {
    const values = data.values(name).filter((value) => !Number.isNaN(value));
    const [least, most] = values.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
    return [name, [Math.max(low, least), Math.min(high, most)]];
  }));
  return Object.freeze({ ...selection, ranges: Object.freeze(ranges) });
}
