// Parallel coordinates: an axis for each metric and choice, a line for each architecture.  Ranges and values that are
// chosen here are the same selection as everywhere else; the order of the axes is the chart's own.

import { h, replace } from "../core/dom.js";
import { count } from "../core/format.js";
import { isOnPaper, onPaper } from "../core/printing.js";
import { onScheme, readTokens } from "./palette.js";
import { axisHead, choiceAxis, numberAxis } from "./parallel_axes.js";
import { chooseLines, drawLines, makeAxis } from "./parallel_lines.js";
import { axisUnit } from "./scales.js";

const [HEAD, HEIGHT, FOOT, SIDE] = [84, 300, 14, 62];
const NARROWEST = 118; // pixels from one axis to the next; a screen with less room scrolls

/** Parallel coordinates in `host`.  `callbacks`: onRanges(name, [low, high] in the metric's unit or null),
 *  onSet(choice, values or null).  Returns {update(view), destroy()}; a view has data, axes, selection, mask, label,
 *  unit, goals, focusRow. */
export function createParallel(host, { onRanges, onSet }) {
  const canvas = h("canvas", { role: "img" });
  const layer = h("div", { class: "chart-axes" });
  const plot = h("div", { class: "chart-parallel" }, canvas, layer);
  const note = h("p", { class: "chart-note" });
  const scroll = h("div", { class: "chart-scroll", tabindex: "0", role: "group", "aria-label": "Parallel coordinates" },
    plot);
  const root = h("div", { class: "chart" }, scroll, note);
  let [view, order, axes, shows, lines, tokens, built] = [null, [], [], new Map(), null, null, ""];
  let [asked, isHeld, later] = [0, false, null];

  replace(host, root);
  const observer = new ResizeObserver(() => ask());
  observer.observe(scroll);
  const endScheme = onScheme(() => { tokens = null; ask(); });
  const endPaper = onPaper(() => { tokens = null; draw(); });

  layer.addEventListener("pointerdown", () => (isHeld = true));
  addEventListener("pointerup", release);
  addEventListener("pointercancel", release);

  /** New data would take the axis out of the hand that drags on it. */
  function release() {
    isHeld = false;
    if (later !== null) update(later);
  }

  function update(next) {
    const before = view;
    later = isHeld && before?.data !== next.data ? next : null;
    if (later !== null) return;
    view = { label: (name) => name, unit: () => "", goals: {}, mask: null, focusRow: -1, ...next };
    order = [...order.filter((name) => view.axes.includes(name)), ...view.axes.filter((name) => !order.includes(name))];
    if (before?.data !== view.data) axes = [];
    if (before?.data !== view.data || before.mask !== view.mask) lines = chooseLines(view.data, view.mask);
    ask();
  }

  function ask() {
    if (asked === 0) asked = requestAnimationFrame(draw);
  }

  function draw() {
    asked = 0;
    if (view === null || scroll.clientWidth === 0) return;
    tokens ??= readTokens(scroll);
    if (axes.map(({ name }) => name).join("\n") !== order.join("\n")) {
      axes = order.map((name) => axes.find((axis) => axis.name === name) ?? makeAxis(view.data, name, HEIGHT));
      built = "";
    }
    const width = Math.max(scroll.clientWidth, isOnPaper() ? 0 : axes.length * NARROWEST);
    const gap = axes.length > 1 ? (width - 2 * SIDE) / (axes.length - 1) : 0;
    const xs = axes.map((_, place) => SIDE + place * gap);
    showAxes(xs, width, gap);
    drawCanvas(xs, width);
    note.textContent = noteWords();
    canvas.setAttribute("aria-label",
      `Parallel coordinates over ${order.map((name) => view.label(name)).join(", ")}. ${noteWords()}`);
  }

  /** Elements stay while only ranges move, so that a hand or the keyboard keeps what it holds. */
  function showAxes(xs, width, gap) {
    const sets = JSON.stringify(order.map((name) => view.selection.sets[name] ?? null));
    const key = JSON.stringify([order, width, sets, order.map((name) => view.label(name))]);
    if (key !== built) {
      built = key;
      rebuild(xs, gap);
    }
    for (const [name, show] of shows) show(view.selection.ranges[name] ?? null);
  }

  function rebuild(xs, gap) {
    const held = heldOf(layer);
    shows = new Map();
    const elements = axes.flatMap((axis, place) => {
      const words = view.label(axis.name);
      const unit = view.unit(axis.name) ?? "";
      const size = axis.choice === null ? Math.max(...(axis.ends ?? [1]).map(Math.abs)) : 0;
      const written = axis.choice === null ? axisUnit(unit, size).unit : "";
      const goal = axis.choice === null ? goalOf(axis.name) : null;
      const head = axisHead(written === "" ? words : `${words} (${written})`, goal, place, axes.length,
        (by) => move(axis.name, by));
      const body = axis.choice === null
        ? numberAxis(axis, words, unit, HEIGHT, (range) => onRanges(axis.name, range))
        : { element: choiceAxis(axis, words, HEIGHT, view.selection.sets[axis.name], (set) => onSet(axis.name, set)) };
      if (body.show !== undefined) shows.set(axis.name, body.show);
      const room = Math.min(axes.length > 1 ? gap : 200, 200) - 8;
      for (const [each, top, height, across] of [[head, 0, HEAD - 14, room], [body.element, HEAD, HEIGHT, null]]) {
        each.style.left = `${xs[place]}px`;
        each.style.top = `${top}px`;
        each.style.height = `${height}px`;
        if (across !== null) each.style.width = `${Math.min(across, 2 * SIDE - 4)}px`;
      }
      // The last axis has no room on its right.
      if (axis.choice !== null) body.element.classList.toggle("is-last", place === axes.length - 1 && axes.length > 1);
      body.element.style.setProperty("--room", `${Math.max(Math.min(gap - 34, 150), 56)}px`);
      return [head, body.element];
    });
    replace(layer, elements);
    giveBack(layer, held);
  }

  function goalOf(name) {
    return view.goals?.[name] ?? view.data.metrics.find(({ metric }) => metric === name)?.goal ?? null;
  }

  function move(name, by) {
    const place = order.indexOf(name);
    const next = [...order];
    [next[place], next[place + by]] = [next[place + by], next[place]];
    order = next;
    ask();
  }

  function drawCanvas(xs, width) {
    const pixels = devicePixelRatio || 1;
    const height = HEAD + HEIGHT + FOOT;
    plot.style.width = `${width}px`;
    plot.style.height = `${height}px`;
    [canvas.width, canvas.height] = [Math.round(width * pixels), Math.round(height * pixels)];
    const context = canvas.getContext("2d");
    context.setTransform(pixels, 0, 0, pixels, 0, 0);
    const isSelected = view.mask !== null;
    drawLines(context, axes, xs, HEAD, lines, tokens, { isSelected, focusRow: view.focusRow ?? -1 });
  }

  function noteWords() {
    const { counts } = lines;
    const part = ([shown, all], one) => {
      if (shown === all) return all === 1 ? `the 1 ${one}` : `all ${count(all, one)}`;
      return `${shown.toLocaleString("en")} of ${count(all, one)}`;
    };
    const front = counts.front.toLocaleString("en");
    if (view.mask === null) return `Showing the front (${front}) and ${part(counts.chosen, "other")}.`;
    const chosen = counts.chosen[1] + counts.front;
    const [shown, all] = counts.chosen;
    const few = shown < all ? ` (${shown.toLocaleString("en")} of the ${all.toLocaleString("en")} off the front)` : "";
    return `${count(chosen, "architecture")} selected, ${front} of them on the front; showing these${few}`
      + ` and, faintly, ${part(counts.rest, "other")}.`;
  }

  return {
    update,
    destroy() {
      cancelAnimationFrame(asked);
      removeEventListener("pointerup", release);
      removeEventListener("pointercancel", release);
      observer.disconnect();
      endScheme();
      endPaper();
      root.remove();
    },
  };
}

/** What has the keyboard, by its name, since its element goes. */
function heldOf(layer) {
  const active = document.activeElement;
  if (!layer.contains(active)) return null;
  return [active.getAttribute("role"), active.getAttribute("aria-label") ?? active.closest("[role=group]")?.ariaLabel,
    active.textContent].join("\n");
}

function giveBack(layer, held) {
  if (held === null) return;
  for (const each of layer.querySelectorAll("button, [role=slider]")) {
    const name = [each.getAttribute("role"), each.getAttribute("aria-label") ?? each.closest("[role=group]")?.ariaLabel,
      each.textContent].join("\n");
    if (name === held) return each.focus();
  }
}
