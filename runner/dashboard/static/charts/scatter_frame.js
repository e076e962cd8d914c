// The elements of a scatter: tools, plot, legend, note, and what only screen readers say.

import { h, svg } from "../core/dom.js";

const HANDS = "Wheel or pinch zooms, dragging moves, dragging with Shift selects a box. "
  + "A click opens a point, with Control it picks it for comparison.";
const KEYS = "Left and right arrow, up and down arrow: walk along the front. Enter: open. "
  + "Space or P: pick for comparison. Plus and minus: zoom. Zero: everything. Escape: clear the selection.";
const MODES = [["pan", "Move", "Dragging moves the picture"], ["box", "Box", "Dragging selects a box"],
  ["lasso", "Lasso", "Dragging selects what it goes around"]];

let made = 0;

/** Everything that a scatter consists of; `on` {mode(name), zoom(factor), reset(), clear()}. */
export function createFrame(on) {
  made += 1;
  const help = `chart-keys-${made}`;
  const parts = {
    grid: svg("svg", { "aria-hidden": "true" }),
    canvas: h("canvas", { role: "img" }),
    still: svg("g"),
    live: svg("g"),
    tip: h("div", { class: "chart-tip", hidden: true, "aria-hidden": "true" }),
    legend: h("ul", { class: "chart-legend", "aria-label": "Legend" }),
    note: h("p", { class: "chart-note" }),
    spoken: h("p", { class: "chart-hidden", "aria-live": "polite" }),
    modes: new Map(),
  };
  for (const [name, words, title] of MODES) {
    const press = { type: "button", title, "aria-pressed": "false", onclick: () => on.mode(name) };
    parts.modes.set(name, h("button", press, words));
  }
  parts.over = svg("svg", { "aria-hidden": "true" }, parts.still, parts.live);
  parts.reset = tool("Reset", "Reset the zoom", () => on.reset());
  parts.clear = tool("Clear", "Clear the selection", () => on.clear());
  parts.reset.disabled = parts.clear.disabled = true;
  parts.plot = h("div", {
    class: "chart-plot", tabindex: "0", role: "application", "aria-roledescription": "scatter chart",
    "aria-describedby": help,
  }, parts.grid, parts.canvas, parts.over, parts.tip);
  parts.root = h("div", { class: "chart" },
    h("div", { class: "chart-tools", role: "toolbar", "aria-label": "Tools of the chart" },
      h("span", { class: "chart-group" }, [...parts.modes.values()]),
      h("span", { class: "chart-group" },
        tool("−", "Zoom out", () => on.zoom(1 / 1.5)), tool("+", "Zoom in", () => on.zoom(1.5)), parts.reset),
      parts.clear),
    parts.plot, parts.legend, parts.note,
    h("details", { class: "chart-help" }, h("summary", {}, "Mouse and keys"), h("p", { id: help }, HANDS, " ", KEYS)),
    parts.spoken);
  return parts;
}

function tool(words, title, onclick) {
  return h("button", { type: "button", title, "aria-label": title, onclick }, words);
}
