// A scatter in words: its legend, the note with exact counts, the card of one point, and what is read aloud.

import { h, svg } from "../core/dom.js";
import { count, quantity } from "../core/format.js";
import { PROVENANCES } from "../core/names.js";
import { shown } from "../data/selection.js";
import { ORDER } from "../data/study_data.js";
import { css, kinds, ramp, RAMP_STEPS } from "./palette.js";
import { CROSS, DIAMOND, DISC, RING, SQUARE } from "./raster.js";

const FRONT_WORDS = [[DISC, "measured or computed"], [RING, "predicted: hollow"]];
const LATER_WORDS = [[SQUARE, "retrained alone"], [DIAMOND, "the exported file"]];

/** The entries of the legend, only for what occurs; `tokens` as `readTokens` gives them. */
export function legend(view, scene, tokens) {
  const found = [];
  const front = shapesIn(scene.front, scene.shapes);
  const plain = scene.colour.kind === "none";
  const strong = css(plain ? tokens.front : tokens.ink);
  for (const [shape, words] of FRONT_WORDS) {
    if (front.has(shape)) found.push(entry(icon(shape, strong, 6), `on the front, ${words}`));
  }
  if (view.showDominated !== false) {
    const others = shapesIn(scene.others, scene.shapes);
    if (others.has(DISC)) found.push(entry(icon(DISC, css(tokens.faded, 0.7), 3.5), "not on the front"));
    if (others.has(RING)) found.push(entry(icon(RING, css(tokens.faded), 4), "not on the front, predicted"));
    if (scene.outside.length > 0) found.push(entry(icon(CROSS, css(tokens.faded), 5), "outside the bounds"));
  }
  const later = shapesIn(scene.later, scene.shapes);
  for (const [shape, words] of LATER_WORDS) {
    if (later.has(shape)) found.push(entry(icon(shape, css(tokens.later), 6), words));
  }
  const hasBars = scene.front.some((row) => view.data.interval(row, view.x) ?? view.data.interval(row, view.y));
  if (hasBars) found.push(entry(stroke(css(tokens.front)), "90 % interval"));
  if (scene.line !== null && scene.line.rows.length > 1) {
    const words = view.x === ORDER ? "best so far" : "best trade-off of these two; the shaded side is worse";
    found.push(entry(stroke(css(tokens.front), 2.5), words));
  }
  return [...found, ...colourEntries(view, scene.colour, tokens), ...sizeEntries(view, scene.size, strong)];
}

/** What is drawn and what is not, with exact counts; `options` {away (outside of the axes), selected (or null)}. */
export function note(view, scene, { away, selected }) {
  const { counts } = scene;
  const parts = [];
  const [drawn, all] = [scene.others.length, scene.allOthers];
  const front = scene.front.length.toLocaleString("en");
  if (view.showDominated === false) {
    const hidden = all === 1 ? "1 other is" : `${count(all, "other")} are`;
    parts.push(`Showing the front (${front}) alone: ${hidden} hidden.`);
  } else if (drawn < all) {
    parts.push(`Showing the front (${front}) and ${drawn.toLocaleString("en")} of ${count(all, "other")}, evenly from `
      + "every part of the picture.");
  } else if (all === 0) {
    parts.push(`Showing the front (${front}).`);
  } else {
    parts.push(`Showing the front (${front}) and ${all === 1 ? "the 1 other" : `all ${count(all, "other")}`}.`);
  }
  if (selected !== null) parts.push(`${count(selected, "evaluation")} selected.`);
  if (scene.outside.length > 0 && view.showDominated !== false) {
    parts.push(`${count(scene.outside.length, "architecture")} outside the bounds.`);
  }
  if (scene.later.length > 0) parts.push(`${count(scene.later.length, "number")} from retrained or exported models.`);
  if (away > 0) parts.push(`${count(away, "point")} beyond these axes: zoom out.`);
  const logs = [view.logX && view.label(view.x), view.logY && view.label(view.y)].filter(Boolean);
  if (counts.unplaced > 0) {
    parts.push(`${count(counts.unplaced, "architecture")} at zero or below left out: `
      + `a logarithmic axis (${logs.join(", ")}) has no place for them.`);
  }
  const not = [
    [counts.failed, "failed"], [counts.unfinished, "not finished"],
    [counts.unmeasured, "without one of the two numbers"],
  ].filter(([amount]) => amount > 0).map(([amount, words]) => `${amount.toLocaleString("en")} ${words}`);
  if (not.length > 0) parts.push(`Not drawn: ${not.join(", ")}.`);
  return parts.join(" ");
}

/** One row as [[label, value], ..]: the axes first, then colour and size. */
export function facts(view, row) {
  const { data } = view;
  const names = [view.x, view.y, view.colour, view.size, ...Object.keys(view.goals ?? {})];
  return [...new Set(names)].filter((name) => name !== null && name !== undefined).map((name) => {
    if (name === ORDER) return ["evaluation", (row + 1).toLocaleString("en")];
    const isChoice = !data.metricNames.includes(name) && data.choice(name) !== null;
    return [view.label(name), isChoice ? choiceWords(data, name, row) : numberWords(view, name, row)];
  });
}

/** The card that follows the pointer. */
export function card(view, row) {
  const { data } = view;
  return [
    h("strong", {}, data.digests[row]),
    h("span", { class: "chart-tip-more" }, standing(view, row).join(" · ")),
    h("dl", {}, facts(view, row).map(([label, value]) => [h("dt", {}, label), h("dd", {}, value)])),
  ];
}

/** One row as a sentence, for those who hear it. */
export function sentence(view, row, place) {
  const numbers = facts(view, row).map(([label, value]) => `${label} ${value}`).join(", ");
  return `${place} ${standing(view, row).join(", ")}: ${numbers}. Architecture ${view.data.digests[row]}.`;
}

/** The chart as a whole, for those who do not see it. */
export function summary(view, scene) {
  const { data } = view;
  const parts = [`${view.label(view.y)} over ${view.x === ORDER ? "evaluations" : view.label(view.x)}.`,
    `${count(scene.front.length, "architecture")} on the front, ${count(scene.allOthers, "other")}.`];
  for (const name of scene.front.length > 0 ? [view.x, view.y] : []) {
    const values = scene.front.map((row) => data.values(name)[row]).filter((value) => !Number.isNaN(value));
    if (name === ORDER || values.length === 0) continue;
    const [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
    const unit = view.unit(name) ?? "";
    parts.push(`On the front ${view.label(name)} runs from ${quantity(low, unit)} to ${quantity(high, unit)}.`);
  }
  if (data.kneeRow >= 0) parts.push(`The knee is ${data.digests[data.kneeRow]}.`);
  return parts.join(" ");
}

function standing(view, row) {
  const { data } = view;
  const found = [];
  if (row === data.kneeRow) found.push("knee");
  for (const [name, end] of Object.entries(data.endRows)) if (end === row) found.push(`best ${view.label(name)}`);
  if (data.fidelities[row] !== "inherited") found.push(data.fidelities[row]);
  else if (data.isFront[row] === 1) found.push("on the front");
  else found.push(data.isFeasible[row] === 1 ? "not on the front" : "outside the bounds");
  return found;
}

function numberWords(view, name, row) {
  const { data } = view;
  // What was retrained keeps the numbers that nobody measured again.
  const isLacking = Number.isNaN(data.values(name)[row]) && data.isPlain[row] === 0;
  const from = isLacking ? Math.max(data.rowOf(data.digests[row]), 0) : row;
  const value = data.values(name)[from];
  if (Number.isNaN(value)) return "not measured";
  const unit = view.unit(name) ?? "";
  const provenance = PROVENANCES[data.provenances(name)[from]];
  const interval = data.interval(from, name);
  const ends = interval === null ? "" : `, ${quantity(interval[0], unit)} to ${quantity(interval[1], unit)}`;
  return `${quantity(value, unit)}${provenance === undefined ? "" : ` (${provenance}${ends})`}`;
}

function choiceWords(data, name, row) {
  const { values, codes } = data.choice(name);
  return codes[row] < values.length ? shown(values[codes[row]]) : "none";
}

function colourEntries(view, colour, tokens) {
  if (colour.kind === "metric") {
    const unit = view.unit(view.colour) ?? "";
    const [less, more] = (colour.isCut ?? []).map((cut, place) => (cut ? [" or less", " or more"][place] : ""));
    const ends = colour.low === null
      ? ["no number yet"]
      : [h("span", {}, `${quantity(colour.low, unit)}${less}`), rampIcon(), `${quantity(colour.high, unit)}${more}`];
    const isShort = colour.rest > 0 && colour.low !== null;
    return [h("li", {}, h("span", {}, `${view.label(view.colour)}:`), ends),
      isShort ? entry(icon(DISC, css(tokens.faded), 5), "no such number") : null];
  }
  if (colour.kind !== "choice") return [];
  const colours = kinds();
  const found = colour.shown.map((value, place) => entry(icon(DISC, css(colours[place]), 5), shown(value)));
  if (colour.rest > 0) found.push(entry(icon(DISC, css(tokens.faded), 5), "other or none"));
  return [h("li", {}, `${view.label(view.colour)}:`), ...found];
}

function sizeEntries(view, size, colour) {
  if (size === null) return [];
  const unit = view.unit(view.size) ?? "";
  return [h("li", {}, `${view.label(view.size)}:`, icon(DISC, colour, 3), quantity(size.low, unit),
    icon(DISC, colour, 7.5), quantity(size.high, unit))];
}

function entry(sign, words) {
  return h("li", {}, sign, words);
}

function rampIcon() {
  const bars = ramp().map((colour, step) =>
    svg("rect", { x: step * 1.25, y: 1, width: 1.75, height: 12, fill: css(colour) }));
  return svg("svg", { width: RAMP_STEPS * 1.25, height: 14, "aria-hidden": "true" }, bars);
}

function stroke(colour, width = 1.25) {
  return svg("svg", { width: 20, height: 14, "aria-hidden": "true" },
    svg("line", { x1: 0, x2: 20, y1: 7, y2: 7, stroke: colour, "stroke-width": width }));
}

function icon(shape, colour, radius) {
  const side = 2 * radius + 2;
  const [middle, arm] = [side / 2, 0.8 * radius];
  const marks = {
    [DISC]: () => svg("circle", { cx: middle, cy: middle, r: radius, fill: colour }),
    [RING]: () => svg("circle", { cx: middle, cy: middle, r: radius - 0.75, fill: "none", stroke: colour,
      "stroke-width": 2 }),
    [SQUARE]: () => svg("rect", { x: middle - arm, y: middle - arm, width: 2 * arm, height: 2 * arm, fill: colour }),
    [DIAMOND]: () => svg("path", { d: `M${middle} 0L${side} ${middle}L${middle} ${side}L0 ${middle}Z`, fill: colour }),
    [CROSS]: () => svg("path", { stroke: colour, "stroke-width": 1.75, fill: "none",
      d: `M${middle - arm} ${middle - arm}l${2 * arm} ${2 * arm}m0 ${-2 * arm}l${-2 * arm} ${2 * arm}` }),
  };
  return svg("svg", { width: side, height: side, "aria-hidden": "true" }, marks[shape]());
}

function shapesIn(rows, shapes) {
  const found = new Set();
  for (const row of rows) found.add(shapes[row]);
  return found;
}
