// What a scatter of one view shows, before anything has a place on the screen: which rows as what, in which colour and
// size, the line of the front, and how many are left out and why.

import { PROVENANCES } from "../core/names.js";
import { keyOf, NO_CODE, ORDER } from "../data/study_data.js";
import { MOST_KINDS, RAMP_STEPS } from "./palette.js";
import { CROSS, DIAMOND, DISC, RING, SQUARE } from "./raster.js";
import { extent, laidOut, padded } from "./scales.js";

const PREDICTED = PROVENANCES.indexOf("predicted");
const FARTHEST_LEFT_OUT = 0.05; // of the points off the front along an axis: they would press the front into a corner
const RANKED = 20_000; // values that are sorted for a quantile
const CELLS = 256; // along each axis, when there are too many points to draw all
export const SIZE_BINS = 5;
export const OUT_TINT = 0; // not selected
export const NO_TINT = 1; // has no colour of its own
export const FIRST_TINT = 2;

/** Everything about a view that does not depend on zoom or size; `mostDrawn` points off the front at the most. */
export function makeScene(view, mostDrawn) {
  const { data } = view;
  const goals = { x: goalOf(view, view.x), y: goalOf(view, view.y) };
  const xs = placesOf(data, view.x, view.logX);
  const ys = placesOf(data, view.y, view.logY);
  const sorted = sortRows(view, xs, ys);
  const shapes = shapesOf(view);
  const size = sizeOf(view, sorted);
  const line = cornersOf(view, goals, sorted, xs, ys);
  const others = thinned(sorted.others, xs, ys, mostDrawn);
  const domain = {
    x: reach(xs, sorted, goals.x, view.logX),
    y: reach(ys, sorted, goals.y, view.logY),
  };
  return {
    ...sorted, goals, xs, ys, shapes, line, domain, allOthers: sorted.others.length, others,
    colour: colourOf(view), size, looks: shapes.map((shape, row) => shape * SIZE_BINS + (size?.bins[row] ?? 0)),
  };
}

/** "minimize", "maximize" or null: which end of an axis is better. */
export function goalOf(view, name) {
  if (name === ORDER) return "minimize";
  return view.goals?.[name] ?? view.data.metrics.find(({ metric }) => metric === name)?.goal ?? null;
}

/** Laid-out values of one axis; an architecture that was retrained keeps the numbers that nobody measured again. */
function placesOf(data, name, log) {
  const known = data.values(name);
  let values = known;
  for (let row = 0; row < data.count; row += 1) {
    if (data.isPlain[row] === 1 || data.states[row] !== "complete" || !Number.isNaN(known[row])) continue;
    const plain = data.rowOf(data.digests[row]);
    if (plain < 0) continue;
    if (values === known) values = known.slice();
    values[row] = known[plain];
  }
  return laidOut(values, log);
}

function sortRows(view, xs, ys) {
  const { data } = view;
  const [front, others, outside, later] = [[], [], [], []];
  const counts = { failed: 0, unfinished: 0, unmeasured: 0, unplaced: 0 };
  const [across, up] = [data.values(view.x), data.values(view.y)];
  for (let row = 0; row < data.count; row += 1) {
    if (data.states[row] !== "complete") {
      counts[data.states[row] === "failed" ? "failed" : "unfinished"] += 1;
    } else if (Number.isNaN(xs[row]) || Number.isNaN(ys[row])) {
      if (data.isPlain[row] === 1) counts[Number.isNaN(across[row] + up[row]) ? "unmeasured" : "unplaced"] += 1;
    } else if (data.isPlain[row] === 0) {
      later.push(row);
    } else if (data.isFront[row] === 1) {
      front.push(row);
    } else {
      (data.isFeasible[row] === 1 ? others : outside).push(row);
    }
  }
  return { front, others, outside, later, counts };
}

function shapesOf(view) {
  const { data } = view;
  const found = new Uint8Array(data.count);
  const [x, y] = [data.provenances(view.x), data.provenances(view.y)];
  for (let row = 0; row < data.count; row += 1) {
    if (data.fidelities[row] === "retrained") found[row] = SQUARE;
    else if (data.fidelities[row] === "exported") found[row] = DIAMOND;
    else if (data.isFeasible[row] === 0) found[row] = CROSS;
    else found[row] = x[row] === PREDICTED || y[row] === PREDICTED ? RING : DISC;
  }
  return found;
}

/** The corners of the best trade-off between the two axes, the best in x first; null where no end is better. */
function cornersOf(view, goals, { front, others }, xs, ys) {
  if (goals.x === null || goals.y === null || view.x === view.y) return null;
  const [across, up] = [goals.x, goals.y].map((goal) => (goal === "minimize" ? 1 : -1));
  const rows = view.x === ORDER ? [...front, ...others] : [...front];
  rows.sort((a, b) => across * (xs[a] - xs[b]) || up * (ys[a] - ys[b]));
  const kept = [];
  for (const row of rows) if (kept.length === 0 || up * (ys[row] - ys[kept.at(-1)]) < 0) kept.push(row);
  return { rows: kept, across, up };
}

/** Not more than `most`, so that each part of the picture keeps its share and none goes empty. */
export function thinned(rows, xs, ys, most) {
  if (rows.length <= most) return Int32Array.from(rows);
  const part = { x: extent(rows.map((row) => xs[row])), y: extent(rows.map((row) => ys[row])) };
  const cell = (value, [low, high]) => Math.min(Math.floor((CELLS * (value - low)) / (high - low || 1)), CELLS - 1);
  const filled = new Uint32Array(CELLS * CELLS);
  // The n-th of a cell comes before every (n + 1)-th of another one, so that single points at the rim all stay.
  const depth = Uint32Array.from(rows, (row) => (filled[cell(ys[row], part.y) * CELLS + cell(xs[row], part.x)] += 1));
  const byDepth = Int32Array.from(rows, (_, place) => place).sort((a, b) => depth[a] - depth[b] || a - b);
  return Int32Array.from(byDepth.subarray(0, most), (place) => rows[place]).sort();
}

/** The laid-out values an axis reaches at first, without the few that are far worse than all others. */
function reach(values, { front, others, outside, later }, goal) {
  const all = pickedFrom(values, [front, others, outside, later]);
  if (all.length === 0) return null;
  const whole = extent(all);
  const best = extent(pickedFrom(values, [front]));
  if (best === null || goal === null || all.length < 20) return { first: padded(whole), whole: padded(whole) };
  const ranked = evenly(all).sort();
  const first = [...whole];
  const length = Math.max(best[1] - best[0], (ranked[Math.floor(ranked.length / 2)] - best[0]) * 0.5);
  const few = Math.floor(ranked.length * FARTHEST_LEFT_OUT);
  const [least, most] = [ranked[few], ranked[ranked.length - 1 - few]];
  if (goal === "minimize") first[1] = Math.min(whole[1], Math.max(best[1] + 2 * length, most));
  else first[0] = Math.max(whole[0], Math.min(best[0] - 2 * length, least));
  return { first: padded(first), whole: padded(whole) };
}

function pickedFrom(values, lists) {
  const found = new Float64Array(lists.reduce((sum, rows) => sum + rows.length, 0));
  let place = 0;
  for (const rows of lists) for (const row of rows) found[place++] = values[row];
  return found;
}

/** Enough of many values to rank them by. */
function evenly(values) {
  const step = Math.ceil(values.length / RANKED);
  return step <= 1 ? values.slice() : values.filter((_, place) => place % step === 0);
}

function colourOf(view) {
  const { data } = view;
  const tints = new Uint8Array(data.count).fill(NO_TINT);
  if (view.colour === null || view.colour === undefined) return { kind: "none", tints, rest: 0 };
  const choice = data.metricNames.includes(view.colour) ? null : data.choice(view.colour);
  const found = choice === null ? colourOfMetric(data.values(view.colour), tints) : colourOfChoice(choice, tints);
  let rest = 0;
  for (let row = 0; row < data.count; row += 1) if (data.isPlain[row] === 1 && tints[row] === NO_TINT) rest += 1;
  return { ...found, tints, rest };
}

function colourOfMetric(values, tints) {
  const known = values.filter((value) => !Number.isNaN(value));
  if (known.length === 0) return { kind: "metric", low: null, high: null };
  const ranked = evenly(known).sort();
  const at = (share) => ranked[Math.round(share * (ranked.length - 1))];
  const whole = extent(known);
  // A few extremes would leave one colour for everything else.
  const [low, high] = known.length > 50 ? [at(0.02), at(0.98)] : whole;
  for (let row = 0; row < values.length; row += 1) {
    if (Number.isNaN(values[row])) continue;
    const share = Math.min(Math.max((values[row] - low) / (high - low || 1), 0), 1);
    tints[row] = FIRST_TINT + Math.round(share * (RAMP_STEPS - 1));
  }
  return { kind: "metric", low, high, isCut: [whole[0] < low, whole[1] > high] };
}

function colourOfChoice({ values, codes }, tints) {
  const amounts = new Uint32Array(values.length);
  for (const code of codes) if (code !== NO_CODE) amounts[code] += 1;
  const ranked = values.map((_, code) => code).filter((code) => amounts[code] > 0);
  if (ranked.length > MOST_KINDS) ranked.sort((a, b) => amounts[b] - amounts[a] || a - b).length = MOST_KINDS;
  ranked.sort((a, b) => (typeof values[a] === "number" && typeof values[b] === "number"
    ? values[a] - values[b]
    : keyOf(values[a]).localeCompare(keyOf(values[b]))));
  const tintOf = new Uint8Array(values.length).fill(NO_TINT);
  ranked.forEach((code, place) => (tintOf[code] = FIRST_TINT + place));
  codes.forEach((code, row) => {
    if (code !== NO_CODE) tints[row] = tintOf[code];
  });
  return { kind: "choice", shown: ranked.map((code) => values[code]) };
}

/** By row which of `SIZE_BINS` sizes; areas, not widths, grow with the number. */
function sizeOf(view, { front, others, outside }) {
  if (view.size === null || view.size === undefined) return null;
  const values = view.data.values(view.size);
  const ends = extent([...front, ...others, ...outside].map((row) => values[row]));
  if (ends === null) return null;
  const bins = new Uint8Array(values.length);
  for (let row = 0; row < values.length; row += 1) {
    if (Number.isNaN(values[row])) continue;
    const share = (values[row] - ends[0]) / (ends[1] - ends[0] || 1);
    bins[row] = Math.min(Math.max(Math.round(share * (SIZE_BINS - 1)), 0), SIZE_BINS - 1);
  }
  return { bins, low: ends[0], high: ends[1] };
}
