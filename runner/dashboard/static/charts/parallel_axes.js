// The axes of parallel coordinates as elements: a range with two handles for numbers, a button for each value of a
// choice, and the head that names an axis and moves it.

import { h } from "../core/dom.js";
import { quantity } from "../core/format.js";
import { shown } from "../data/selection.js";
import { keyOf } from "../data/study_data.js";
import { axisUnit, roundedTo, ticks, tickWords } from "./scales.js";

const STEP = 0.01; // of the axis for one key, ten times as much with Shift or a page key
const TAP = 4;
const ROW = 25; // pixels of one value's button
export const BETTER = { minimize: "↓ better", maximize: "↑ better" };

/** What stands over an axis; `move(by)` moves it by one place. */
export function axisHead(words, goal, place, amount, move) {
  return h("div", { class: "chart-head" },
    h("span", { class: "chart-head-name", title: words }, words),
    h("span", { class: "chart-head-better" }, goal === null ? "" : BETTER[goal]),
    h("span", { class: "chart-group" },
      h("button", { type: "button", class: "chart-button", "aria-label": `Move ${words} to the left`,
        disabled: place === 0, onclick: () => move(-1) }, "‹"),
      h("button", { type: "button", class: "chart-button", "aria-label": `Move ${words} to the right`,
        disabled: place === amount - 1, onclick: () => move(1) }, "›")));
}

/** The values of a choice, each a button that is pressed where it is selected; `set(values or null)`. */
export function choiceAxis(axis, words, height, selected, set) {
  const { values } = axis.choice;
  const keys = new Set((selected ?? []).map(keyOf));
  const fits = Math.max(Math.floor(height / ROW), 1);
  const few = values.slice(0, values.length > fits ? fits - 1 : fits);
  const isCut = few.length < values.length;
  const buttons = few.map((value, code) => {
    const button = h("button", { type: "button", class: "chart-value", "aria-pressed": String(keys.has(keyOf(value))),
      title: shown(value), onclick: () => set(toggled(values, keys, value)) }, shown(value));
    button.style.top = `${isCut ? code * ROW : axis.scale.place(code) - ROW / 2}px`;
    return button;
  });
  return h("div", { class: "chart-axis is-choice", role: "group", "aria-label": words },
    h("div", { class: "chart-rule" }), buttons, isCut ? cutWords(values.length - few.length, height) : null);
}

function cutWords(amount, height) {
  const found = h("span", { class: "chart-value is-words" }, `${amount} more`);
  found.style.top = `${height - ROW}px`;
  return found;
}

function toggled(values, keys, value) {
  const key = keyOf(value);
  const wanted = values.filter((each) => (keyOf(each) === key) !== keys.has(keyOf(each)));
  return wanted.length === 0 ? null : wanted;
}

/** An axis of numbers with a range; `set(range or null)`.  Returns {element, show(range)}. */
export function numberAxis(axis, words, unit, height, set) {
  const { scale } = axis;
  const [least, most] = axis.ends ?? [0, 1];
  const band = h("div", { class: "chart-range" });
  const handles = ["low", "high"].map((end) => h("div", {
    class: `chart-handle is-${end}`, role: "slider", tabindex: "0", "aria-orientation": "vertical",
    "aria-label": `${words}, ${end === "low" ? "lowest" : "highest"}`, "aria-valuemin": least, "aria-valuemax": most,
    onkeydown: (event) => key(event, end === "low" ? 0 : 1),
  }));
  const { factor } = axisUnit(unit, Math.max(Math.abs(least), Math.abs(most)));
  const marks = ticks(scale.domain, axis.log, Math.max(Math.floor(height / 60), 3), factor);
  const ticksOf = tickWords(marks, factor).map((word, place) => {
    const tick = h("span", { class: "chart-tick" }, word);
    tick.style.top = `${scale.place(marks[place].at)}px`;
    return tick;
  });
  const element = h("div", { class: "chart-axis is-number", role: "group", "aria-label": words },
    h("div", { class: "chart-rule" }), ticksOf, band, handles);
  let range = null;
  let drag = null;

  function show(next) {
    range = next;
    const ends = range ?? [least, most];
    const places = ends.map((end) => Math.min(Math.max(scale.of(end), 0), height));
    band.style.top = `${places[1]}px`;
    band.style.height = `${Math.max(places[0] - places[1], 0)}px`;
    band.classList.toggle("is-set", range !== null);
    handles.forEach((handle, place) => {
      handle.style.top = `${places[place]}px`;
      handle.setAttribute("aria-valuenow", ends[place]);
      handle.setAttribute("aria-valuetext", quantity(ends[place], unit));
      handle.dataset.words = range === null ? "" : quantity(ends[place], unit);
    });
  }

  function valueAt(pixel) {
    const inside = Math.min(Math.max(pixel, 0), height);
    const value = Math.min(Math.max(scale.value(inside), least), most);
    return value === least || value === most ? value : roundedTo(value, Math.abs(scale.value(inside + 1) - value));
  }

  function put(ends) {
    const [low, high] = [Math.min(...ends), Math.max(...ends)];
    set(low <= least && high >= most ? null : [low, high]);
  }

  function key(event, end) {
    const large = event.shiftKey || event.key.startsWith("Page") ? 10 : 1;
    const up = { ArrowUp: 1, ArrowRight: 1, PageUp: 1, ArrowDown: -1, ArrowLeft: -1, PageDown: -1 }[event.key];
    const isEnd = { Home: 0, End: 1 }[event.key];
    if (event.key === "Escape" || event.key === "Delete") set(null);
    else if (up !== undefined || isEnd !== undefined) {
      const ends = [...(range ?? [least, most])];
      const moved = () => valueAt(scale.of(ends[end]) - up * large * STEP * height);
      ends[end] = isEnd === undefined ? moved() : [least, most][isEnd];
      // A handle stops at the other one; otherwise the keys would suddenly move that one.
      ends[end] = end === 0 ? Math.min(ends[0], ends[1]) : Math.max(ends[0], ends[1]);
      put(ends);
    } else return;
    event.preventDefault();
  }

  function placeOf(event) {
    return event.clientY - element.getBoundingClientRect().top;
  }

  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const at = placeOf(event);
    const grip = handles.indexOf(event.target);
    const ends = range ?? [least, most];
    const isBand = range !== null && event.target === band;
    element.setPointerCapture(event.pointerId);
    drag = {
      start: at, moved: false, fixed: grip < 0 ? null : ends[1 - grip], band: isBand ? ends.map(scale.of) : null,
    };
    if (grip >= 0) event.target.focus();
    event.preventDefault();
  });
  element.addEventListener("pointermove", (event) => {
    if (drag === null) return;
    const at = placeOf(event);
    drag.moved ||= Math.abs(at - drag.start) > TAP;
    if (!drag.moved) return;
    if (drag.band !== null) {
      const by = Math.min(Math.max(at - drag.start, -drag.band[1]), height - drag.band[0]);
      put(drag.band.map((end) => valueAt(end + by)));
    } else put([drag.fixed ?? valueAt(drag.start), valueAt(at)]);
  });
  element.addEventListener("pointerup", () => {
    if (drag !== null && !drag.moved && drag.fixed === null && range !== null) set(null);
    drag = null;
  });
  element.addEventListener("pointercancel", () => (drag = null));
  show(null);
  return { element, show };
}

