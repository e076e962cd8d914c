// Words for answers and for what differs between two architectures.

import { number, quantity } from "../core/format.js";

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]|\p{Extended_Pictographic}/u;
// What a difference of these units is called, the lesser first; others are more or less.
const COMPARATIVES = Object.freeze({
  ms: ["faster", "slower"],
  s: ["faster", "slower"],
  bytes: ["smaller", "larger"],
});
const FEW_CHANGES = 6;

/** An answer as text; one that is not there is "none". */
export function answerText(value) {
  if (value === null || value === undefined) return "none";
  return String(value);
}

/** The text in at most `columns` columns of a fixed-width font, with an ellipsis where it was longer. */
export function short(text, columns) {
  const plain = text.replace(/\s+/g, " ");
  let used = 0;
  let kept = "";
  for (const sign of plain) {
    used += WIDE.test(sign) ? 2 : 1;
    if (used > columns - 1 && kept.length + sign.length < plain.length) return `${kept}…`;
    kept += sign;
  }
  return kept;
}

/** Parts of text in lines of at most `columns` columns, never broken within a part; each part is cut to a line. */
export function lined(parts, columns, gap = 2) {
  const lines = [];
  let left = 0;
  for (const part of parts) {
    const text = short(part, columns);
    const size = width(text);
    if (lines.length === 0 || size + gap > left) {
      lines.push([text]);
      left = columns - size;
    } else {
      lines.at(-1).push(text);
      left -= size + gap;
    }
  }
  return lines.map((line) => line.join(" ".repeat(gap)));
}

/** How the other architecture differs from this one, choice by choice: `changed` as in the API, words in a list. */
export function changeWords(changed) {
  const words = changed.slice(0, FEW_CHANGES).map(({ choice, here, there }) => {
    if (there === null) return `${choice}: not there (here ${answerText(here)})`;
    if (here === null) return `${choice}: ${answerText(there)}, not there here`;
    return `${choice}: ${answerText(there)} instead of ${answerText(here)}`;
  });
  return changed.length > FEW_CHANGES ? [...words, `and ${changed.length - FEW_CHANGES} more`] : words;
}

/** How another value of a metric ({metric, label, unit, goal}) compares with ours, in words; `here` and `there` are
 *  values of the API. Where their intervals overlap, nothing is claimed. */
export function valueWords(metric, here, there) {
  const { label, unit, goal } = metric;
  if (here.value === there.value) return `same ${label}`;
  const less = there.value < here.value;
  const size = Math.abs(there.value - here.value);
  const [lesser, greater] = COMPARATIVES[unit] ?? ["less", "more"];
  const better = goal === null ? null : (goal === "minimize") === less;
  let words;
  if (unit === "fraction") words = `${number(size * 100)} points ${verdict(better, less)} in ${label}`;
  else if (here.value === 0) words = `${quantity(size, unit)} ${less ? "less" : "more"} ${label}`;
  else {
    const percent = `${number(Number(((size / Math.abs(here.value)) * 100).toPrecision(2)))} %`;
    words =
      COMPARATIVES[unit] === undefined
        ? `${percent} ${less ? lesser : greater} ${label}${better === null ? "" : ` (${verdict(better)})`}`
        : `${percent} ${less ? lesser : greater} in ${label}`;
  }
  return overlap(here, there) ? `${words}, within the intervals: no clear difference` : words;
}

/** Whether two values of the API have intervals that share a number. */
export function overlap(one, other) {
  if ([one.lower, one.upper, other.lower, other.upper].some((each) => each === null || each === undefined))
    return false;
  return one.lower <= other.upper && other.lower <= one.upper;
}

/** The interval of a value of the API as text, or null. */
export function intervalText(value, unit) {
  if (value.lower === null || value.upper === null) return null;
  return `${quantity(value.lower, unit)} to ${quantity(value.upper, unit)}`;
}

function verdict(better, less = false) {
  if (better === null) return less ? "less" : "more";
  return better ? "better" : "worse";
}

function width(text) {
  return [...text].reduce((sum, sign) => sum + (WIDE.test(sign) ? 2 : 1), 0);
}
