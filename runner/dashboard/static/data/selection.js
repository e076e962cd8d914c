// What is selected, the same for every panel: ranges of metrics, values of choices, a lasso, named architectures.
// A row is selected when it fits all of them.  It owns the words and the text in the address.

import { quantity } from "../core/format.js";
import { keyOf } from "./study_data.js";

export const MOST_CORNERS = 64;
export const MOST_DIGESTS = 64;
const MOST_NAMES = 32; // ranges, and as many choices
const MOST_VALUES = 64;
const LONGEST_NAME = 200;
const LONGEST_TEXT = 6_000; // servers and messengers cut longer addresses
const DIGEST = /^[0-9a-f]{4,64}$/;
const OPEN = Object.freeze([-Infinity, Infinity]); // ends of a range that has none there
const OPEN_END = "~";
const PART = "**";
const TOKEN = "*";

/** Nothing is selected: every row is as good as any other. */
export const EMPTY = selectionOf({});

/** A selection from some of its parts: `{ranges, sets, lasso, digests}`; corners and ranges in the metrics'
 *  units, an end of a range infinite where it has none. */
export function selectionOf({ ranges = {}, sets = {}, lasso = null, digests = null }) {
  return Object.freeze({ ranges: Object.freeze({ ...ranges }), sets: Object.freeze({ ...sets }), lasso, digests });
}

/** Whether this selects nothing in particular. */
export function isEmpty(selection) {
  return selection.lasso === null && selection.digests === null && Object.keys(selection.ranges).length === 0
    && Object.keys(selection.sets).length === 0;
}

/** By row 1 for selected and 0 for not; null where nothing is selected. */
export function mask(data, selection) {
  if (isEmpty(selection)) return null;
  const found = new Uint8Array(data.count).fill(1);
  for (const [name, [low, high]] of Object.entries(selection.ranges)) {
    const values = data.values(name);
    for (let row = 0; row < found.length; row += 1) {
      // Written so that a missing value, which is no number, is not selected.
      if (!(values[row] >= low && values[row] <= high)) found[row] = 0;
    }
  }
  for (const [name, wanted] of Object.entries(selection.sets)) maskSet(found, data.choice(name), wanted);
  if (selection.lasso !== null) maskLasso(found, data, selection.lasso);
  if (selection.digests !== null) {
    const wanted = new Set(selection.digests);
    for (let row = 0; row < found.length; row += 1) if (!wanted.has(data.digests[row])) found[row] = 0;
  }
  return found;
}

/** The selection that `write` made this text of; undefined for anything else. */
export function read(text) {
  if (typeof text !== "string" || text.length === 0 || text.length > LONGEST_TEXT) return undefined;
  const found = { ranges: Object.create(null), sets: Object.create(null), lasso: null, digests: null };
  try {
    for (const part of text.split(PART)) {
      const [kind, ...tokens] = part.split(TOKEN);
      if (READERS[kind] === undefined || !READERS[kind](found, tokens)) return undefined;
    }
  } catch (error) {
    // What is not well encoded, or not JSON.
    if (error instanceof URIError || error instanceof SyntaxError) return undefined;
    throw error;
  }
  return selectionOf({ ...found, ranges: { ...found.ranges }, sets: { ...found.sets } });
}

/** The selection as text for the address; null for the empty one, and for one that no address has room for. */
export function write(selection) {
  if (isEmpty(selection)) return null;
  const parts = Object.entries(selection.ranges).map(([name, range]) => ["r", packed(name), ...range.map(endText)]);
  for (const [name, values] of Object.entries(selection.sets)) {
    parts.push(["s", packed(name), ...values.map((value) => packed(valueText(value)))]);
  }
  if (selection.lasso !== null) {
    const { x, y, corners } = selection.lasso;
    parts.push(["l", packed(x), packed(y), ...corners.flat()]);
  }
  if (selection.digests !== null) parts.push(["d", ...selection.digests]);
  const text = parts.map((part) => part.join(TOKEN)).join(PART);
  return read(text) === undefined ? null : text;
}

/** The selection in words; `label(name)` and `unit(name)` as the pages show a metric or a choice. */
export function words(selection, label, unit = () => "") {
  const parts = Object.entries(selection.ranges).map(([name, [low, high]]) =>
    `${label(name)} ${rangeWords(low, high, unit(name))}`);
  for (const [name, values] of Object.entries(selection.sets)) {
    parts.push(`${label(name)} is ${values.length === 0 ? "nothing" : values.map(shown).join(" or ")}`);
  }
  if (selection.lasso !== null) {
    parts.push(`inside a lasso over ${label(selection.lasso.x)} and ${label(selection.lasso.y)}`);
  }
  if (selection.digests !== null) {
    const count = selection.digests.length;
    parts.push(count === 1 ? `architecture ${selection.digests[0]}` : `one of ${count} named architectures`);
  }
  return parts.length === 0 ? "everything" : parts.join("; ");
}

function rangeWords(low, high, unit) {
  if (low === -Infinity) return `at most ${quantity(high, unit)}`;
  return high === Infinity ? `at least ${quantity(low, unit)}` : `from ${quantity(low, unit)} to ${quantity(high, unit)}`;
}

function endText(end) {
  return Number.isFinite(end) ? end : OPEN_END;
}

/** A value of a choice as people read it. */
export function shown(value) {
  return typeof value === "string" ? value : keyOf(value);
}

function maskSet(found, choice, wanted) {
  const keys = new Set(wanted.map(keyOf));
  const fits = Uint8Array.from(choice?.values ?? [], (value) => (keys.has(keyOf(value)) ? 1 : 0));
  for (let row = 0; row < found.length; row += 1) {
    if (choice === null || fits[choice.codes[row]] !== 1) found[row] = 0;
  }
}

function maskLasso(found, data, { x, y, corners }) {
  const [across, up] = [data.values(x), data.values(y)];
  const [xs, ys] = [0, 1].map((axis) => corners.map((corner) => corner[axis]));
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  for (let row = 0; row < found.length; row += 1) {
    if (found[row] === 0) continue;
    const [px, py] = [across[row], up[row]];
    found[row] = px >= left && px <= right && py >= low && py <= high && inside(px, py, xs, ys) ? 1 : 0;
  }
}

/** Whether a ray from the point crosses the outline an odd number of times. */
function inside(px, py, xs, ys) {
  let odd = false;
  for (let here = 0, before = xs.length - 1; here < xs.length; before = here, here += 1) {
    if (ys[here] > py === ys[before] > py) continue;
    const crossing = xs[here] + ((py - ys[here]) / (ys[before] - ys[here])) * (xs[before] - xs[here]);
    if (px < crossing) odd = !odd;
  }
  return odd;
}

const READERS = Object.freeze({
  __proto__: null,
  r(found, [name, ...ends]) {
    const [key, [low, high]] = [unpacked(name), ends.map((text, place) => (text === OPEN_END ? OPEN[place] : finite(text)))];
    if (ends.length !== 2 || !fits(key, found.ranges) || !(low <= high)) return false;
    found.ranges[key] = Object.freeze([low, high]);
    return true;
  },
  s(found, [name, ...texts]) {
    const key = unpacked(name);
    if (texts.length > MOST_VALUES || !fits(key, found.sets)) return false;
    const values = texts.map((text) => valueOf(unpacked(text)));
    if (values.includes(undefined)) return false;
    found.sets[key] = Object.freeze(values);
    return true;
  },
  l(found, [x, y, ...numbers]) {
    const [across, up, ends] = [unpacked(x), unpacked(y), numbers.map(finite)];
    const whole = ends.length % 2 === 0 && ends.length >= 6 && ends.length <= 2 * MOST_CORNERS;
    if (found.lasso !== null || !whole || ends.includes(undefined) || !fits(across, {}) || !fits(up, {})) return false;
    const corners = Array.from({ length: ends.length / 2 }, (_, place) =>
      Object.freeze([ends[2 * place], ends[2 * place + 1]]));
    found.lasso = Object.freeze({ x: across, y: up, corners: Object.freeze(corners) });
    return true;
  },
  d(found, digests) {
    if (found.digests !== null || digests.length < 1 || digests.length > MOST_DIGESTS) return false;
    if (!digests.every((digest) => DIGEST.test(digest))) return false;
    found.digests = Object.freeze([...digests]);
    return true;
  },
});

function fits(name, taken) {
  return typeof name === "string" && name.length > 0 && name.length <= LONGEST_NAME && name !== "__proto__"
    && !(name in taken) && Object.keys(taken).length < MOST_NAMES;
}

function finite(text) {
  if (!/^-?\d+(\.\d+)?(e[+-]?\d+)?$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

function packed(text) {
  return encodeURIComponent(text.toWellFormed()).replaceAll(TOKEN, "%2A");
}

function unpacked(token) {
  return token === undefined ? undefined : decodeURIComponent(token);
}

function valueText(value) {
  return typeof value === "string" ? `t${value}` : `j${keyOf(value)}`;
}

function valueOf(text) {
  if (text.startsWith("t")) return text.slice(1);
  if (!text.startsWith("j")) return undefined;
  const value = JSON.parse(text.slice(1));
  return typeof value === "string" ? undefined : value;
}
